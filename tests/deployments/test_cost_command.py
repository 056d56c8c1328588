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
from policy.cost.attribution import TEAM_COSTS
from policy.cost.bills import BILLS
from policy.cost.pricing import COSTS
from policy.cost.teams import TEAMS
from storage.costs import replace_costs, replace_teams
from storage.database import Database
from storage.tenants import seen

HOUR = timedelta(hours=1)
START = datetime(2026, 3, 30, tzinfo=UTC)
WINDOW = "2026-03-30..2026-04-02"  # three days, of two months
RESERVED = {"acme": {"reserved_amount": Decimal(2), "reservable_amount": Decimal("0.25")}}
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
            **RESERVED.get(tenant, {}),
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


def test_what_limits_reserve_stands_beside_it_with_how_much_of_it_is_used() -> None:
    """
    Of 2 that acme's limits reserve in each of 72 hours, a quarter of a unit, an eighth, is used.
    """
    told = rows()

    assert [(row["reserved"], row["reserved_used"], row["reserved_hours"]) for row in told] == [
        (144, Decimal("0.125"), 72),
        (None, None, 0),
        (None, None, 0),
        (None, None, None),
    ]


def test_a_person_reads_what_is_reserved_and_that_it_is_unknown() -> None:
    lines = run("--window", WINDOW, "--reserved").stdout.splitlines()

    assert [" ".join(line.split()) for line in lines[:3]] == [
        "tenant EUR share reserved used of it hours known hours measured not priced",
        "acme 36.00 50.0 % 144.00 12.5 % 72 of 72 36.0 of 72 queries",
        "beta 18.00 25.0 % unknown 0 of 72 36.0 of 72 queries",
    ]


def store_an_hour(
    *, bill: str, listed: str | None = None, teams: pl.DataFrame | None = None
) -> None:
    """One more hour, in which acme is charged 3."""
    at = START + 100 * HOUR
    row = {
        "at": at,
        "tenant": "acme",
        "currency": "EUR",
        "method": "composite",
        "amount": Decimal(3),
        "covered_seconds": 3600.0,
        "listed_amount": None if listed is None else Decimal(listed),
    }
    with Database.open("data/history.duckdb", clock=lambda: START) as database:
        replace_costs(
            database,
            pl.DataFrame([row], schema=COSTS),
            bills=pl.DataFrame([(at, "EUR", Decimal(bill))], schema=BILLS, orient="row"),
            teams=teams,
            start=at,
            end=at + HOUR,
            run_id="r",
        )


LATER = "2026-04-03..2026-04-04"


def test_a_tenant_that_several_teams_share_is_divided_among_them() -> None:
    parts = [("acme", "blue", "0.5"), ("acme", "red", "1.25"), ("acme", "unattributed", "1.25")]
    store_an_hour(
        bill="3",
        teams=pl.DataFrame(
            [
                {"at": START + 100 * HOUR, "tenant": t, "team": n, "amount": Decimal(a)}
                for t, n, a in parts
            ],
            schema=TEAM_COSTS,
        ),
    )

    told = rows("--by", "team", "--window", LATER)

    assert [(row["team"], row["amount"]) for row in told] == [
        ("red", Decimal("1.25")),
        ("unattributed", Decimal("1.25")),
        ("blue", Decimal("0.5")),
        (None, 0),
    ]
    assert [row["amount"] for row in rows("--window", LATER)] == [3, 0]


def test_charges_beyond_the_bill_are_named_and_never_shared_out() -> None:
    store_an_hour(bill="2")

    told = [(row["kind"], row["amount"]) for row in rows("--window", LATER, "--share-idle", "even")]
    result = run("--window", LATER)

    assert told == [("charged", 3), ("excess", -1)]
    assert "(beyond the bill)" in result.stdout
    assert "charged more than the bill" in result.stderr


def test_prices_that_were_scaled_to_the_bill_are_told_with_the_factor() -> None:
    store_an_hour(bill="3", listed="2")

    result = run("--window", LATER)

    assert "scaled to the bill: 2.00 at list price are 3.00, 1.5 times as much" in result.stderr


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
