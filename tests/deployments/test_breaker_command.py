"""`mlo breaker`, as it is typed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from deployments.cli import app
from policy.breakers import BREAKERS, TURNS
from policy.top_metrics import TOP_METRICS
from storage import reading
from storage.audit import read_audit
from storage.breaker_metrics import add_metrics
from storage.breakers import read_breakers, replace_breakers
from storage.database import Database
from storage.tenants import seen

NOW = datetime.now(UTC)  # the commands look at the clock


@pytest.fixture(autouse=True)
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A history with two tenants, of which one has an open breaker."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)
    monkeypatch.delenv("MODE", raising=False)
    monkeypatch.setenv("LOGNAME", "anna")
    found = "data/history.duckdb"
    row = {
        "tenant": "acme",
        "state": "open",
        "since": NOW,
        "kinds": "ingestion",
        "because": "20 × its usual",  # noqa: RUF001 - as it is told
        "opened_at": NOW,
        "openings": 2,
    }
    with Database.open(found, clock=lambda: NOW) as database:
        seen(database, ["acme", "beta"], at=NOW)
        replace_breakers(
            database,
            pl.DataFrame([row], schema=BREAKERS),
            turns=pl.DataFrame(schema=TURNS),
            evidence={},
            at=NOW,
            run_id="r",
        )
    return found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["breaker", *arguments])


def test_the_list_names_the_metrics_with_the_most_series() -> None:
    rows = [(NOW, "acme", "requests_total", 540_000, 900_000), (NOW, "acme", "up", 20, 900_000)]
    with Database.open("data/history.duckdb", clock=lambda: NOW) as database:
        answers = pl.DataFrame(rows, schema=TOP_METRICS, orient="row")
        add_metrics(database, answers, run_id="r")

    (listed,) = json.loads(run("list", "-o", "json").stdout)

    assert listed["metrics"] == "requests_total 540,000, up 20 of 900,000 series"


def entered() -> list[tuple[str, ...]]:
    with Database.open("data/history.duckdb", clock=lambda: NOW) as database:
        found = read_audit(database, since=NOW, category="user")
    return found.reverse().select("action", "tenant", "actor").rows()


def test_open_breakers_are_listed_and_why_nobody_is_capped() -> None:
    result = run("list", "-o", "json")

    (row,) = json.loads(result.stdout)
    assert (row["tenant"], row["state"], row["openings"]) == ("acme", "open", 2)
    assert "the mode is dry-run: they are stepped and told, and cap nobody" in result.stderr


def test_a_breaker_is_switched_off_and_on_by_a_person() -> None:
    off = run("disable", "beta", "--reason", "load test")
    listed = run("list").stderr
    on = run("enable", "beta")

    assert off.exit_code == on.exit_code == 0
    assert "anna switched off the breaker of beta: load test" in listed
    assert reading.breakers_off("data/history.duckdb").is_empty()
    assert entered() == [
        ("breaker_disabled", "beta", "anna"),
        ("breaker_enabled", "beta", "anna"),
    ]


def test_all_of_them_are_switched_off_at_once() -> None:
    run("disable", "--reason", "upgrade")

    assert reading.breakers_off("data/history.duckdb")["tenant"].to_list() == [""]
    assert "switched off every breaker" in run("list").stderr


def test_a_breaker_is_closed_at_once(url: str) -> None:
    assert run("reset", "acme", "--reason", "a migration").exit_code == 0

    with Database.open(url, clock=lambda: NOW) as database:
        assert read_breakers(database).is_empty()
    assert entered() == [("breaker_reset", "acme", "anna")]


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (("disable", "acne", "--reason", "x"), "did you mean acme?"),
        (("enable", "acme"), "is not switched off"),
        (("reset", "beta", "--reason", "x"), "the breaker of beta is closed"),
        (("disable", "", "--reason", "x"), "the tenant is empty"),
        (("disable", "acme", "--reason", " "), "the reason is empty"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    arguments: tuple[str, ...], refusal: str
) -> None:
    result = run(*arguments)

    assert result.exit_code == 1
    assert refusal in result.stderr
    assert result.stderr.count("\n") == 1
