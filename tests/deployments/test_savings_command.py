"""`mlo savings`, as it is typed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from deployments.cli import app
from policy.cost.realised import FOLLOWED
from policy.cost.recommendation import SAVINGS
from storage.database import Database
from storage.savings import note_followed, replace_savings

NOW = datetime(2026, 11, 20, 9, 6, tzinfo=UTC)
ROWS = [
    (
        "churn",
        "beta",
        None,
        None,
        None,
        0,
        "its series are replaced",
        "mlo cardinality beta",
        4.0,
        3.0,
    ),
    (
        "unused quota",
        "acme",
        "ingestion_rate",
        "1234.5",
        0,
        0,
        "far above",
        "overrides: {}",
        9.0,
        1.0,
    ),
]


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["savings", *arguments])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(autouse=True)
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)
    (tmp_path / "data").mkdir()
    path = str(tmp_path / "data" / "history.duckdb")
    Database.open(path, clock=lambda: NOW).close()
    return path


def test_each_is_told_with_its_three_figures_and_what_to_do(history: str) -> None:
    rows = [
        tuple(
            Decimal(each) if n in {3, 4, 5} and each is not None else each
            for n, each in enumerate(row)
        )
        for row in ROWS
    ]
    with Database.open(history, clock=lambda: NOW) as database:
        found = pl.DataFrame(rows, schema=SAVINGS, orient="row")
        assert replace_savings(database, found, currency="EUR", at=NOW).is_empty()
        assert replace_savings(database, found, currency="EUR", at=NOW).height == len(ROWS)

    told = run()
    _, first, second = told.stdout.splitlines()
    data = json.loads(run("-o", "json").stdout)

    assert first.split()[:6] == ["unused", "quota", "acme", "ingestion_rate", "1,234.50", "0.0000"]
    assert second.split()[:4] == ["churn", "beta", "unknown", "unknown"]
    assert second.endswith("mlo cardinality beta")
    assert "2 recommendations, in EUR a month" in told.stderr
    assert [row["tenant"] for row in data] == ["acme", "beta"]


def test_what_was_followed_is_told_with_what_it_saved(history: str) -> None:
    rows = [
        (NOW, "unused quota", "acme", "ingestion_rate", 50_000.0, 5_000.0, Decimal(90), Decimal(0)),
        (NOW, "churn", "beta", None, 5.0, None, None, None),
    ]
    names = ["since", "kind", "tenant", "limit", "value", "reached", "exposure", "spend"]
    with Database.open(history, clock=lambda: NOW) as database:
        told = [dict(zip(names, row, strict=True)) for row in rows]
        note_followed(database, pl.DataFrame(told, schema=FOLLOWED), currency="EUR")

    told = run("--realised")
    _, first, second = told.stdout.splitlines()

    assert first.split() == [
        *("2026-11-20", "unused", "quota", "acme", "ingestion_rate"),
        *("50,000", "5,000", "90.00", "0.0000"),
    ]
    assert second.split()[1:] == ["churn", "beta", "5", "-", "unknown", "unknown"]
    assert "2 were followed, in EUR a month" in told.stderr
    assert "2 were followed: mlo savings --realised" in run().stderr


def test_where_nothing_was_followed_it_says_so() -> None:
    told = run("--realised")

    assert told.stdout == ""
    assert "nobody has followed" in told.stderr


def test_without_any_it_says_so() -> None:
    told = run()

    assert told.stdout == ""
    assert "nothing is recommended" in told.stderr
