"""`mlo cost`, as it is typed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from deployments.cli import app
from policy.cost.bills import BILLS
from policy.cost.pricing import COSTS
from policy.cost.teams import TEAMS
from storage.costs import replace_costs, replace_teams
from storage.database import Database
from storage.tenants import seen

HOUR = timedelta(hours=1)
START = datetime(2026, 3, 30, tzinfo=UTC)
WINDOW = "2026-03-30..2026-04-02"  # three days, of two months
EACH_HOUR = {"acme": "0.5", "beta": "0.25", "gamma": "0.125"}  # of 72 hours: 36, 18 and 9


@pytest.fixture(autouse=True)
def _history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three tenants of two teams, whose bill is a whole unit an hour."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    end = START + 72 * HOUR
    hours = [START + n * HOUR for n in range(72)]
    rows = [
        {
            "at": at,
            "tenant": tenant,
            "currency": "EUR",
            "method": "composite",
            "amount": Decimal(amount),
            "unknown": "queries",
            "covered_seconds": 1800.0,
            "samples_amount": Decimal(amount) * 2,
        }
        for at in hours
        for tenant, amount in EACH_HOUR.items()
    ]
    with Database.open("data/history.duckdb", clock=lambda: START) as database:
        seen(database, list(EACH_HOUR), at=START)
        replace_costs(
            database,
            pl.DataFrame(rows, schema=COSTS),
            bills=pl.DataFrame(
                [(at, "EUR", Decimal(1)) for at in hours], schema=BILLS, orient="row"
            ),
            start=START,
            end=end,
            run_id="r",
        )
        teams = pl.DataFrame([("acme", "blue"), ("gamma", "blue")], schema=TEAMS, orient="row")
        replace_teams(database, teams)


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["cost", *arguments])
    assert result.exit_code == 0, result.output
    return result


def rows(*arguments: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(
        run("--window", WINDOW, "-o", "json", *arguments).stdout, parse_float=Decimal
    )
    return found


def test_a_window_is_told_by_tenant_the_dearest_first_and_what_idles_last() -> None:
    told = rows()

    assert [(row["tenant"], row["kind"], Decimal(str(row["amount"]))) for row in told] == [
        ("acme", "charged", 36),
        ("beta", "charged", 18),
        ("gamma", "charged", 9),
        (None, "idle", 9),
    ]
    assert [row["covered_hours"] for row in told[:3]] == [36, 36, 36]


def test_a_team_pays_what_its_tenants_do() -> None:
    told = rows("--by", "team")

    assert [(row["team"], row["tenants"], row["amount"]) for row in told] == [
        ("blue", 2, 45),
        ("unattributed", 1, 18),
        (None, None, 9),
    ]


def test_a_window_is_cut_into_months() -> None:
    told = rows("--by", "team", "--each", "month")

    assert [(str(row["starts"])[:10], row["team"], row["amount"]) for row in told] == [
        ("2026-03-30", "blue", 30),
        ("2026-03-30", "unattributed", 12),
        ("2026-03-30", None, 6),
        ("2026-04-01", "blue", 15),
        ("2026-04-01", "unattributed", 6),
        ("2026-04-01", None, 3),
    ]


@pytest.mark.parametrize(
    ("how", "amounts"),
    [
        ("even", [39, 21, 12]),
        ("weighted", [Decimal("41.142857143"), Decimal("20.571428571"), Decimal("10.285714286")]),
    ],
)
def test_what_idles_is_shared_out_to_the_last_digit(how: str, amounts: list[Decimal]) -> None:
    told = rows("--share-idle", how)

    assert [row["amount"] for row in told] == amounts
    assert sum(row["amount"] for row in told) == 72  # type: ignore[misc]


def test_a_part_is_told_at_list_price_and_without_what_idles() -> None:
    told = rows("--of", "samples")

    assert [(row["tenant"], row["amount"]) for row in told] == [
        ("acme", 72),
        ("beta", 36),
        ("gamma", 18),
    ]


def test_a_person_reads_the_sum_and_what_is_not_priced() -> None:
    result = run("--window", WINDOW)

    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["tenant", "EUR", "share", "hours", "measured", "not", "priced"]
    assert lines[1] == ["acme", "36.00", "50.0", "%", "36.0", "of", "72", "queries"]
    assert lines[4] == ["(idle)", "9.00", "12.5", "%"]
    assert "together 72.00 EUR by composite" in result.stderr


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_report_is_exported(ending: str) -> None:
    run("--window", WINDOW, "--export", f"march.{ending}")

    file = Path(f"march.{ending}")
    read = pl.read_csv(file) if ending == "csv" else pl.read_parquet(file)
    assert read["amount"].cast(pl.Float64).to_list() == [36.0, 18.0, 9.0, 9.0]
    assert read["starts"].cast(pl.String).str.slice(0, 10).to_list() == ["2026-03-30"] * 4


def test_a_window_without_costs_says_what_there_is() -> None:
    result = run("--window", "2025-01-01..2025-01-02")

    assert not result.stdout
    assert "what is priced is from 2026-03-30 00:00 to 2026-04-02 00:00" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--window", "soon"), "'soon' is no window"),
        (("--tenant", "acne"), "did you mean acme?"),
        (("--export", "march.xls"), "let it be .csv, .parquet"),
    ],
)
def test_what_cannot_be_told_is_refused_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(app, ["cost", *arguments])

    assert result.exit_code != 0
    assert said in result.stderr
