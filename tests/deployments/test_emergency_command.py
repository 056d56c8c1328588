"""`mlo emergency`, as it is typed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from deployments.cli import app
from policy.emergency.state import Held, State, as_json
from policy.frames import LAYERS
from storage.database import Database
from storage.emergency import replace_emergency
from storage.layers import replace_layer

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
STATE = State(
    level="panic",
    phase=4,
    since=NOON,
    because="memory of ingester-0 at 96 %, above 95 % for 1 min",
    held=(
        Held(
            rule="1:cpu",
            pod="ingester-1",
            component="ingester",
            since=NOON,
            seen=NOON + timedelta(seconds=30),
            value=80.0,
        ),
    ),
    resources=("memory",),
    actions={"reduce_limits": 50.0, "force_gc": 0.0},
    healthy_since=NOON + timedelta(minutes=2),
    healthy_at=NOON + timedelta(minutes=13),
    restored=10.0,
    stepped_at=NOON + timedelta(minutes=12),
)
CAP = {
    "tenant": "acme",
    "limit": "ingestion_rate",
    "layer": "emergency",
    "kind": "cap",
    "value": 6_000.0,
    "reason": "limits reduced from 10,000 to 6,000: memory of ingester-0 at 96 %",
    "evidence": '{"base":10000.0,"cut":40.0,"action":"reduce_limits"}',
    "written_at": NOON,
    "expires_at": None,
}


@pytest.fixture(autouse=True)
def _history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)
    monkeypatch.setenv("MODE", "prod")
    with Database.open("data/history.duckdb", clock=lambda: NOON) as database:
        replace_emergency(database, as_json(STATE), at=NOON)
        replace_layer(database, "emergency", pl.DataFrame([CAP], schema=LAYERS), run_id="r")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["emergency", *arguments])


def test_it_tells_the_level_the_readings_the_actions_and_the_next_step() -> None:
    result = run("-o", "json")

    assert result.exit_code == 0, result.output
    rows = {(row["kind"], row["what"]): row for row in json.loads(result.stdout)}
    assert rows["level", "panic"]["told"] == STATE.because
    reading = rows["reading", "warning, phase 1"]
    assert reading["told"] == "cpu of ingester-1 at 80 %, above 75 % for 30 s"
    assert reading["due"] == "2026-11-23T12:02:00+00:00"
    assert rows["action", "reduce_limits"]["told"] == "limits reduced by 40 %, 10 given back"
    step = rows["step", "1 of 5"]
    assert step["due"] == "2026-11-23T12:17:00+00:00"


def test_the_summary_counts_what_is_capped() -> None:
    assert "level panic, capped: 1 limit of 1 tenant" in run().output


def test_the_caps_are_listed_with_what_they_were() -> None:
    (row,) = json.loads(run("--caps", "-o", "json").stdout)

    assert (row["tenant"], row["limit"]) == ("acme", "ingestion_rate")
    assert (row["base"], row["value"]) == (10_000.0, 6_000.0)


@pytest.mark.parametrize("form", ["table", "json", "yaml", "csv", "markdown"])
def test_every_format_names_the_level(form: str) -> None:
    result = run("-o", form)

    assert result.exit_code == 0, result.output
    assert "panic" in result.stdout


def test_of_a_dry_run_it_says_that_nothing_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODE", "dry-run")

    assert "level panic, in a dry run: nothing is capped" in run().output


def test_switched_off_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLO_EMERGENCY__ENABLED", "false")

    assert "emergency.enabled is false" in run().output
