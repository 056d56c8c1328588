"""`mlo budget`, as it is typed."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from deployments.cli import app
from storage.budgets import STANDING, replace_budgets
from storage.database import Database

NOW = datetime(2026, 11, 20, 9, 6, tzinfo=UTC)


def standing(scope: str, name: str, spent: str | None, **told: Any) -> dict[str, Any]:  # noqa: ANN401
    amount = None if spent is None else Decimal(spent)
    return {
        "scope": scope,
        "name": name,
        "unit": "month",
        "budget": Decimal(1200),
        "enforced": False,
        "currency": "EUR",
        "starts": datetime(2026, 11, 1, tzinfo=UTC),
        "ends": datetime(2026, 12, 1, tzinfo=UTC),
        "spent": amount,
        "left": None if amount is None else 1200 - amount,
        "used": None if amount is None else float(amount) / 1200,
        "passed": 0.625,
        "hours": 460,
    } | told


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)
    (tmp_path / "data").mkdir()
    return tmp_path


@pytest.fixture
def _budgets(folder: Path) -> None:
    rows = [
        standing("global", "all", "300"),
        standing(
            "tenant",
            "acme",
            "1500",
            enforced=True,
            method="holt-winters",
            p10=1900.0,
            p50=2000.0,
            p90=2100.0,
            over_probability=1.0,
        ),
        standing(
            "team",
            "blue",
            "900",
            p10=1100.0,
            p50=1201.0,
            p90=1300.0,
            over_probability=0.52,
            crosses_on=date(2026, 11, 30),
        ),
        standing("tenant", "young", None),
    ]
    with Database.open(str(folder / "data" / "history.duckdb"), clock=lambda: NOW) as database:
        replace_budgets(database, pl.DataFrame(rows, schema=STANDING), at=NOW)


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["budget", *arguments])
    assert result.exit_code == 0, result.output
    return result


def names(*arguments: str) -> list[str]:
    return [row["name"] for row in json.loads(run("-o", "json", *arguments).stdout)]


@pytest.mark.usefixtures("_budgets")
def test_the_budget_with_the_least_left_comes_first_and_what_is_unknown_last() -> None:
    assert names() == ["acme", "blue", "all", "young"]


@pytest.mark.usefixtures("_budgets")
def test_those_of_one_scope_or_those_used_up_are_told_alone() -> None:
    assert names("--scope", "team") == ["blue"]
    assert names("--over") == ["acme"]


@pytest.mark.usefixtures("_budgets")
def test_a_table_tells_what_is_used_and_what_it_will_come_to() -> None:
    told = run()
    head, acme, blue, everybody, young = (line.split("  ") for line in told.stdout.splitlines())
    cells = [
        [cell.strip() for cell in line if cell.strip()]
        for line in (head, acme, blue, everybody, young)
    ]

    assert "used" in cells[0]
    assert cells[1][2:8] == ["month", "1,200.00", "1,500.00", "-300.00", "125.0 %", "62.5 %"]
    assert cells[1][8:] == ["2,000.00 (1,900.00 to 2,100.00)", "100 %", "enforced"]
    assert cells[2][8:] == ["1,201.00 (1,100.00 to 1,300.00)", "52 %", "2026-11-30"]
    assert cells[3][8:] == ["unknown", "unknown"]
    assert cells[4][4:7] == ["unknown"] * 3
    assert "4 budgets in EUR, as of 2026-11-20 09:06 UTC" in told.stderr


def test_without_budgets_it_says_where_they_come_from(folder: Path) -> None:
    Database.open(str(folder / "data" / "history.duckdb"), clock=lambda: NOW).close()

    told = run()

    assert told.stdout == ""
    assert "costControl has none" in told.stderr
