"""`mlo pin`, `mlo unpin` and `mlo pins`, as they are typed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from deployments.cli import app
from deployments.pinning import ends_at
from policy.frames import LAYERS, LIMITS
from policy.pinnable import PinRefused
from policy.pins import PINNED, Pin
from storage import reading
from storage.database import Database
from storage.layers import replace_layer
from storage.limits import observe_limits
from storage.origin import claim
from storage.pins import pin as write_pin
from storage.serve import serving
from storage.tenants import seen

NOW = datetime.now(UTC)  # the commands look at the clock
RATE, BURST, SERIES = "ingestion_rate", "ingestion_burst_size", "max_global_series_per_user"
OWN = [("", RATE, 10_000.0), ("", BURST, 200_000.0), ("", SERIES, 150_000.0)]


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A history of two tenants, of which one was given a rate, in the folder to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)
    monkeypatch.delenv("MODE", raising=False)
    monkeypatch.setenv("LOGNAME", "anna")
    word = {
        "tenant": "acme",
        "limit": RATE,
        "layer": "optimized",
        "kind": "set",
        "value": 13_000.0,
        "reason": "peak and buffer",
        "written_at": NOW,
    }
    found = "data/history.duckdb"
    with Database.open(found, clock=lambda: NOW) as database:
        seen(database, ["acme", "beta"], at=NOW)
        replace_layer(database, "optimized", pl.DataFrame([word], schema=LAYERS), run_id="1")
        observe_limits(database, pl.DataFrame(OWN, schema=LIMITS, orient="row"), at=NOW)
    return found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def pinned(*arguments: str) -> Result:
    return run("pin", *arguments, "--reason", "load test")


def listed() -> list[dict[str, object]]:
    result = run("pins", "-o", "json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, list)
    return found


def settings(text: str) -> None:
    Path("config.yaml").write_text(text, encoding="utf-8")


@pytest.mark.usefixtures("url")
def test_a_pin_says_what_it_does_and_is_listed_with_what_lies_beneath() -> None:
    result = pinned("acme", RATE, "500,000", "--for", "7d")

    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    told = result.stderr.splitlines()
    assert told[0].startswith(f"acme  {RATE}  pinned to 500,000 until ")
    assert told[0].endswith("; without the pin it is 13,000")
    assert "dry-run" in told[1]
    (found,) = listed()
    assert list(found) == PINNED.names()
    assert {key: found[key] for key in ("tenant", "limit", "value", "without")} == {
        "tenant": "acme",
        "limit": RATE,
        "value": 500_000.0,
        "without": 13_000.0,
    }
    assert (found["reason"], found["by"]) == ("load test", "anna")
    since, until = (datetime.fromisoformat(str(found[key])) for key in ("since", "until"))
    assert until - since == timedelta(days=7)


def test_a_running_process_takes_the_pin_too(url: str) -> None:
    with Database.open(url, clock=lambda: NOW) as database, serving(database):
        assert pinned("acme", RATE, "500000").exit_code == 0

        assert [row["value"] for row in listed()] == [500_000.0]
        assert run("unpin", "acme", RATE).exit_code == 0
        assert listed() == []


def test_of_a_simulated_history_it_is_told_that_the_pin_is_published(url: str) -> None:
    """Its process publishes to the simulated Mimir, while the settings here say dry-run."""
    with Database.open(url, clock=lambda: NOW) as database, serving(database):
        claim(database, simulated=True, at=NOW)

        result = pinned("acme", RATE, "500000")

    assert result.stderr.splitlines()[1] == "it is published within 15s"


@pytest.mark.usefixtures("url")
def test_without_a_running_process_a_pin_waits_for_it() -> None:
    settings("mode: prod")

    assert "`mlo up` does not run" in pinned("acme", RATE, "500000").stderr


@pytest.mark.usefixtures("url")
def test_the_table_of_pins_is_one_line_each_and_says_who_why_and_until_when() -> None:
    pinned("acme", RATE, "500000", "--by", "ben")

    head, line = run("pins").stdout.splitlines()

    assert head.split() == [
        *("tenant", "limit", "pinned", "to", "without", "by", "since", "until", "why"),
    ]
    words = line.split()
    assert words[:5] == ["acme", RATE, "500,000", "13,000", "ben"]
    assert words[7:] == ["unpinned", "load", "test"]


@pytest.mark.usefixtures("url")
def test_without_pins_there_is_an_empty_list_and_a_word_on_stderr() -> None:
    result = run("pins", "-o", "json")

    assert (json.loads(result.stdout), result.stderr) == ([], "nothing is pinned\n")


def test_an_expired_pin_is_not_listed_and_cannot_be_taken_back(url: str) -> None:
    word = Pin(
        tenant="acme",
        limit=RATE,
        value=5.0,
        reason="load test",
        by="anna",
        since=NOW - timedelta(hours=2),
        until=NOW - timedelta(hours=1),
    )
    write_pin(url, word)

    assert listed() == []
    assert "is not pinned" in run("unpin", "acme", RATE).stderr


@pytest.mark.usefixtures("url")
def test_unpin_says_what_holds_again() -> None:
    pinned("beta", SERIES, "70000")

    result = run("unpin", "beta", SERIES, "--reason", "over")

    assert result.exit_code == 0
    assert result.stderr.splitlines()[0] == f"beta  {SERIES}  70,000 → 150,000, no longer pinned"
    audit = reading.query("data/history.duckdb", "from v_audit order by happened_at")
    assert audit.select("category", "action", "actor").rows() == [
        ("user", "pin", "anna"),
        ("user", "unpin", "anna"),
    ]
    assert json.loads(audit["details"][1]) == {
        "limit": SERIES,
        "before": 70_000.0,
        "after": None,
        "reason": "over",
        "until": None,
    }


@pytest.mark.usefixtures("url")
def test_what_is_not_pinned_is_refused_with_the_nearest_that_is() -> None:
    pinned("acme", RATE, "500000")

    assert f"pinned is {RATE}" in run("unpin", "acme", SERIES).stderr
    assert "did you mean acme?" in run("unpin", "acne", RATE).stderr
    assert "`mlo pins` lists" in run("unpin", "beta", SERIES).stderr


@pytest.mark.usefixtures("url")
@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (("acme", "ingestion_rat", "5000"), "did you mean ingestion_rate?"),
        (("acme", RATE, "999"), "below the minimum of 1,000"),
        (("acme", RATE, "5000", "--by", " "), "--by is empty"),
        (("acme", RATE, "5000", "--for", "7"), "no unit"),
        (("acme", RATE, "5000", "--for", "0s"), "not ahead"),
        (("acme", RATE, "5000", "--until", "2020-01-01"), "not ahead"),
        (("acme", RATE, "5000", "--until", "soon"), "2026-12-31T18:00Z"),
        (("acme", RATE, "5000", "--until", "2999-01-01", "--for", "7d"), "give one of them"),
        (("acne", RATE, "5000"), "did you mean acme?"),
        (("no tenant id!|", RATE, "5000", "--yes"), "no tenant id that Mimir takes"),
    ],
)
def test_what_cannot_be_pinned_is_one_line_and_changes_nothing(
    arguments: tuple[str, ...], refusal: str
) -> None:
    result = pinned(*arguments)

    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("error: ")
    assert refusal in result.stderr
    assert listed() == []


@pytest.mark.usefixtures("url")
def test_a_reason_is_needed() -> None:
    assert run("pin", "acme", RATE, "5000").exit_code == 2
    assert "the reason is empty" in run("pin", "acme", RATE, "5000", "--reason", " ").stderr


@pytest.mark.usefixtures("url")
def test_a_tenant_never_seen_is_pinned_when_that_is_meant() -> None:
    assert pinned("tomorrow", RATE, "5000", "--yes").exit_code == 0

    assert [row["tenant"] for row in listed()] == ["tomorrow"]


@pytest.mark.usefixtures("url")
def test_a_second_pin_that_contradicts_the_first_is_refused() -> None:
    """It would stop the document for all tenants."""
    pinned("acme", BURST, "8000")

    result = pinned("acme", RATE, "9000")

    assert "nothing could be published any more" in result.stderr
    assert "the burst is below ingestion_rate" in result.stderr
    assert [row["limit"] for row in listed()] == [BURST]


@pytest.mark.usefixtures("url")
def test_a_name_that_the_running_mimir_may_not_know_is_refused() -> None:
    """Nobody answers at the address, so only what every version knows is taken."""
    settings("mimir: {endpoints: ['http://127.0.0.1:9'], timeout: 1s}")

    result = pinned("acme", "max_active_series_per_user", "5000")

    assert "does not know this limit" in result.stderr
    assert listed() == []


@pytest.mark.usefixtures("url")
def test_the_bounds_of_the_settings_hold_for_pins() -> None:
    settings(f"limits: {{maxLimits: {{{RATE}: 20000}}}}")

    assert "above the maximum of 20,000" in pinned("acme", RATE, "20001").stderr
    assert pinned("acme", RATE, "20000").exit_code == 0


def test_a_time_without_a_zone_is_utc() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    assert ends_at(None, "2026-03-01T18:00", now=now) == now.replace(hour=18)
    assert ends_at(None, "2026-03-01T18:00+02:00", now=now) == now.replace(hour=16)
    assert ends_at("90m", None, now=now) == now + timedelta(minutes=90)
    assert ends_at(None, None, now=now) is None
    with pytest.raises(PinRefused, match="9999"):
        ends_at("36500d", None, now=datetime(9990, 1, 1, tzinfo=UTC))
