"""`mlo rollback`, `release`, `holds`, `pause` and `resume`, as they are typed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from deployments.cli import app
from policy.document import render
from policy.frames import CHANGES, COMPOSED, LAYERS, LIMITS, empty
from storage import reading
from storage.audit import read_audit
from storage.database import Database
from storage.layers import replace_layer
from storage.revisions import Intent, begin_revision, finish_revision
from storage.serve import serving
from storage.tenants import seen

NOW = datetime.now(UTC)  # the commands look at the clock
RATE = "ingestion_rate"
FIRST = {"acme": 5_000.0, "beta": 6_000.0}
SECOND = {"acme": 50_000.0, "beta": 60_000.0}


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A history with two confirmed revisions, one that failed, and layers that say the second."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)
    monkeypatch.delenv("MODE", raising=False)
    monkeypatch.setenv("LOGNAME", "anna")
    found = "data/history.duckdb"
    with Database.open(found, clock=lambda: NOW) as database:
        seen(database, ["acme", "beta"], at=NOW)
        replace_layer(database, "optimized", words(SECOND), run_id="1")
        for rates, outcome in ((FIRST, "confirmed"), (SECOND, "confirmed"), ({}, "failed")):
            intent = Intent(
                run_id="1",
                actor="optimizer",
                sink="the file overrides.yaml",
                document=render(limits(rates)).decode(),
                changes=empty(CHANGES),
                composed=empty(COMPOSED),
            )
            revision = begin_revision(database, intent, at=NOW)
            finish_revision(
                database,
                revision=revision,
                outcome=outcome,  # type: ignore[arg-type]
                detail="the reload failed" if outcome == "failed" else "3 pods",
                evidence={},
                at=NOW,
            )
    return found


def limits(rates: dict[str, float]) -> pl.DataFrame:
    rows = [(tenant, RATE, value) for tenant, value in rates.items()]
    return pl.DataFrame(rows, schema=LIMITS, orient="row")


def words(rates: dict[str, float]) -> pl.DataFrame:
    rows = [
        {
            "tenant": tenant,
            "limit": RATE,
            "layer": "optimized",
            "kind": "set",
            "value": value,
            "reason": "peak and buffer",
            "written_at": NOW,
        }
        for tenant, value in rates.items()
    ]
    return pl.DataFrame(rows, schema=LAYERS)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def back(*arguments: str) -> Result:
    return run("rollback", *arguments, "--reason", "bad news")


def held() -> dict[str, float]:
    said = reading.layers("data/history.duckdb").filter(layer="hold")
    return dict(said.select("tenant", "value").iter_rows())


def entries() -> list[tuple[str, ...]]:
    with Database.open("data/history.duckdb", clock=lambda: NOW) as database:
        found = read_audit(database, since=NOW, category="user")
    return found.reverse().select("action", "tenant", "actor").rows()


@pytest.mark.usefixtures("url")
def test_everyone_is_held_and_what_changes_is_shown() -> None:
    result = back("1", "--for", "7d", "-o", "json")

    assert result.exit_code == 0, result.output
    shown = {row["tenant"]: (row["before"], row["after"]) for row in json.loads(result.stdout)}
    assert shown == {tenant: (SECOND[tenant], FIRST[tenant]) for tenant in FIRST}
    assert "everyone is held at revision 1 until " in result.stderr
    assert held() == FIRST
    assert entries() == [("rollback", None, "anna")]


@pytest.mark.usefixtures("url")
def test_a_preview_holds_nobody() -> None:
    result = back("1", "--preview")

    assert result.exit_code == 0
    assert held() == {}
    assert entries() == []


@pytest.mark.usefixtures("url")
def test_one_tenant_is_held_beside_everyone_and_falls_back_when_released() -> None:
    back("2")
    back("1", "--tenant", "acme")
    one = held()
    released = run("release", "acme", "--reason", "it is mended")
    both = held()
    run("release")

    assert one == {"acme": FIRST["acme"], "beta": SECOND["beta"]}
    assert "acme is held with everyone again, at revision 2" in released.stderr
    assert both == SECOND
    assert held() == {}
    assert entries() == [
        ("rollback", None, "anna"),
        ("rollback", "acme", "anna"),
        ("release", "acme", "anna"),
        ("release", None, "anna"),
    ]


@pytest.mark.usefixtures("url")
def test_holds_are_listed() -> None:
    back("1", "--tenant", "acme", "--by", "ben")

    (found,) = json.loads(run("holds", "-o", "json").stdout)

    assert (found["whose"], found["revision"], found["by"]) == ("acme", 1, "ben")
    assert (found["until"], found["reason"]) == (None, "bad news")


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (("9",), "there is no revision 9; the newest is 3"),
        (("3",), "revision 3 cannot be held, it failed: the reload failed"),
        (("1", "--tenant", "acne"), "nothing is known of a tenant 'acne'; did you mean acme?"),
        (("1", "--for", "soon"), "as in --for 7d"),
    ],
)
@pytest.mark.usefixtures("url")
def test_what_cannot_be_held_is_refused_in_one_line(
    arguments: tuple[str, ...], refusal: str
) -> None:
    result = back(*arguments)

    assert result.exit_code == 1
    assert refusal in result.stderr
    assert result.stderr.count("\n") == 1
    assert held() == {}


@pytest.mark.usefixtures("url")
def test_who_is_not_held_is_not_released() -> None:
    nobody = run("release")
    back("1", "--tenant", "acme")
    other = run("release", "beta")

    assert nobody.exit_code == other.exit_code == 1
    assert "nobody is held" in nobody.stderr
    assert "beta is not held" in other.stderr


def test_the_running_owner_holds_it_too(url: str) -> None:
    with Database.open(url, clock=lambda: NOW) as database, serving(database):
        result = back("1")

        assert result.exit_code == 0, result.output
        assert held() == FIRST


@pytest.mark.usefixtures("url")
def test_a_pause_is_told_by_diff_and_ended_by_resume() -> None:
    back("1", "--tenant", "acme")  # so that something is pending

    paused = run("pause", "--reason", "upgrade of Mimir", "--for", "2h")
    told = run("diff").stderr
    resumed = run("resume")
    again = run("diff").stderr

    assert paused.exit_code == resumed.exit_code == 0
    assert "nothing is published until " in paused.stderr
    assert "it waits: anna paused it: upgrade of Mimir, until " in told
    assert "it waits" not in again
    assert [entry[0] for entry in entries()] == ["rollback", "pause", "resume"]


@pytest.mark.usefixtures("url")
def test_what_was_not_paused_is_not_resumed() -> None:
    result = run("resume")

    assert result.exit_code == 1
    assert "neither `mlo pause` nor `mlo withdraw` was said" in result.stderr


@pytest.mark.usefixtures("url")
def test_without_the_audit_log_nothing_is_audited() -> None:
    Path("config.yaml").write_text("auditLog: {enabled: false}\n", encoding="utf-8")

    back("1")
    run("release")
    run("pause", "--reason", "x")
    run("resume")

    assert entries() == []


@pytest.mark.usefixtures("url")
def test_an_empty_name_releases_nobody() -> None:
    back("1", "--tenant", "acme")

    result = run("release", "")

    assert result.exit_code == 1
    assert "the tenant is empty" in result.stderr
    assert held() == {"acme": FIRST["acme"]}


def test_what_is_wrong_without_the_hold_does_not_forbid_it(url: str) -> None:
    with Database.open(url, clock=lambda: NOW) as database:
        bad = pl.concat([words(SECOND), words({"no tenant id": 5.0})])
        replace_layer(database, "optimized", bad, run_id="2")

    assert back("1", "--tenant", "acme").exit_code == 0
    assert held() == {"acme": FIRST["acme"]}


def test_a_tenant_is_released_though_everyone_is_held_at_what_was_refused_since(url: str) -> None:
    back("2")
    back("1", "--tenant", "acme")
    with Database.open(url, clock=lambda: NOW) as database:
        finish_revision(
            database, revision=2, outcome="reverted", detail="refused", evidence={}, at=NOW
        )

    result = run("release", "acme")

    assert result.exit_code == 0, result.output
    assert held() == SECOND


@pytest.mark.parametrize("command", [("holds",), ("diff",), ("resume",), ("explain", "acme")])
def test_a_history_of_an_older_version_is_told_with_the_way_out(
    url: str, command: tuple[str, ...]
) -> None:
    with duckdb.connect(url) as connection:
        connection.execute("drop view v_holds; drop table holds; drop table pauses")

    result = run(*command)

    assert result.exit_code == 1
    assert "made by an older version of mlo: start `mlo up` once" in result.stderr
