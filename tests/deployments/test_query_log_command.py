"""`mlo query-log`: a table for a person, and demand for the history."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.cli import app
from storage.client import query
from storage.database import Database

LOG = (
    'ts=2026-11-23T12:00:00Z user=acme msg="query stats" fetched_series_count=40\n'
    'user=acme msg="query stats" fetched_ser\n'
)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLO_STORAGE__URL", str(tmp_path / "history.duckdb"))
    (tmp_path / "queries.log").write_text(LOG)
    return str(tmp_path / "queries.log")


def test_the_usage_of_each_tenant_is_shown_and_broken_lines_are_told(log: str) -> None:
    result = CliRunner().invoke(app, ["query-log", log, "-o", "json"])

    assert result.exit_code == 0
    assert json.loads(result.stdout)[0]["max"] == 40
    assert "1 of 2 lines tell of a query, 1 are broken" in result.stderr


def test_what_is_recorded_is_demand_in_the_history(log: str, tmp_path: Path) -> None:
    url = str(tmp_path / "history.duckdb")
    Database.open(url, clock=lambda: datetime.now(UTC)).close()

    result = CliRunner().invoke(app, ["query-log", log, "--record"])

    assert result.exit_code == 0, result.stderr
    found = query(url, "select tenant, signal, value from samples")
    assert found.rows() == [("acme", "max_fetched_series_per_query", 40.0)]


def test_a_file_without_queries_is_one_line(log: str) -> None:
    Path(log).write_text("nothing\n")

    result = CliRunner().invoke(app, ["query-log", log])

    assert result.exit_code == 1
    assert result.stderr.startswith("error: none of the 1 lines of")
    assert len(result.stderr.splitlines()) == 1
