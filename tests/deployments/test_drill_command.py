"""`mlo drill`, as it is typed: beside a history, in a dry run, with nothing changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from deployments.cli import app
from deployments.simulation import Simulation, remember_past
from policy.frames import LIMITS
from storage.database import Database
from storage.limits import observe_limits
from storage.tenants import seen

NOW = datetime.now(UTC)  # the commands look at the clock
OWN = [("", "ingestion_rate", 10_000.0), ("", "ingestion_burst_size", 200_000.0)]


@pytest.fixture(autouse=True)
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A history of three simulated tenants, in the folder to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)
    monkeypatch.delenv("MODE", raising=False)
    path = tmp_path / "data" / "history.duckdb"
    with Database.open("data/history.duckdb", clock=lambda: NOW) as database:
        seen(database, ["steady-1", "diurnal-1", "bursty-1"], at=NOW)
        remember_past(database, Simulation(port=1, folder=tmp_path, tenants=3), until=NOW)
        observe_limits(database, pl.DataFrame(OWN, schema=LIMITS, orient="row"), at=NOW)
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["drill", *arguments])


def test_a_drill_shows_what_would_happen_and_when() -> None:
    told = run("--tenant", "steady-1", "--factor", "20")

    assert told.exit_code == 0
    assert "0:00" in told.stdout
    assert "0:15" in told.stdout
    assert "breaker open: " in told.stdout
    assert "detected after: 15 s" in told.stderr
    assert "recovered after the blast: " in told.stderr


def test_programs_get_seconds_and_kinds() -> None:
    told = run("--tenant", "steady-1", "--factor", "20", "-o", "json")

    events = json.loads(told.stdout)
    assert events[0]["after_seconds"] == 0
    assert [event["kind"] for event in events][:2] == ["begins", "detected"]


def test_a_drill_changes_nothing_in_the_history(history: Path) -> None:
    before = history.read_bytes()

    run("--tenant", "steady-1")

    assert history.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--tenant", "steady"), "nothing is known of a tenant 'steady'"),
        (("--tenant", "steady-1", "--factor", "1"), "a factor of 1 is no blast"),
    ],
)
def test_a_drill_that_cannot_be_is_one_line(words: tuple[str, ...], problem: str) -> None:
    told = run(*words)

    assert told.exit_code == 1
    assert told.stderr.startswith(f"error: {problem}")
    assert told.stderr.count("\n") == 1


def test_a_length_without_a_unit_is_a_wrong_command_line() -> None:
    told = run("--tenant", "steady-1", "--for", "5")

    assert told.exit_code == 2
