"""Costs and imported usage, stored and read again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from policy.cost.bills import BILLS
from policy.cost.pricing import COSTS
from policy.cost.teams import TEAMS
from policy.signals import ACTIVE_SERIES, SAMPLES_RECEIVED
from storage.costs import costs_between, priced_hours, replace_costs, replace_teams
from storage.database import Database
from storage.maintenance import apply_retention
from storage.rollups import ROLLUPS, import_rollups
from storage.usage import IMPORTED, import_usage, usage_hours

HOUR = timedelta(hours=1)
SPRING = datetime(2026, 3, 4, 12, tzinfo=UTC)


def costs(*rows: tuple[datetime, str, str]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "at": at,
                "tenant": tenant,
                "currency": "USD",
                "method": "samples",
                "amount": Decimal(amount),
                "covered_seconds": 3600.0,
                "samples_amount": Decimal(amount),
            }
            for at, tenant, amount in rows
        ],
        schema=COSTS,
    )


def bills(*rows: tuple[datetime, str]) -> pl.DataFrame:
    return pl.DataFrame(
        [(at, "USD", Decimal(amount)) for at, amount in rows], schema=BILLS, orient="row"
    )


def store(database: Database, frame: pl.DataFrame, *, billed: pl.DataFrame | None = None) -> None:
    start: datetime = frame["at"].min()  # type: ignore[assignment]
    end: datetime = frame["at"].max() + HOUR  # type: ignore[operator]
    replace_costs(
        database,
        frame,
        bills=BILLS.to_frame() if billed is None else billed,
        start=start,
        end=end,
        run_id="r",
    )


def test_pricing_an_hour_again_replaces_all_of_it(database: Database, now: datetime) -> None:
    store(database, costs((now, "t1", "1.10"), (now, "t2", "2.00")))

    store(database, costs((now, "t1", "1.25")))

    stored = costs_between(database, start=now, end=now + HOUR)
    assert stored.schema == COSTS
    assert stored.select("tenant", "amount").rows() == [("t1", Decimal("1.250000000"))]


def test_costs_of_other_hours_are_not_between(database: Database, now: datetime) -> None:
    rows = [(now - HOUR, "t1", "1"), (now, "t1", "2"), (now + HOUR, "t1", "4")]
    store(database, costs(*rows))

    assert costs_between(database, start=now, end=now + HOUR)["at"].to_list() == [now]
    assert priced_hours(database, start=now, end=now + 2 * HOUR) == [now, now + HOUR]


def test_a_frame_cannot_price_one_hour_twice(database: Database, now: datetime) -> None:
    with pytest.raises(ValueError, match="priced twice"):
        store(database, costs((now, "t1", "1"), (now, "t1", "2")))


def test_an_hour_outside_is_refused_and_what_was_there_stays(
    database: Database, now: datetime
) -> None:
    store(database, costs((now, "t1", "1")))

    with pytest.raises(ValueError, match="outside"):
        replace_costs(
            database,
            costs((now + HOUR, "t1", "2")),
            bills=BILLS.to_frame(),
            start=now,
            end=now + HOUR,
            run_id="r",
        )

    assert costs_between(database, start=now, end=now + 2 * HOUR)["amount"].to_list() == [
        Decimal(1)
    ]


def test_a_day_of_costs_is_a_utc_day_and_names_the_team(database: Database) -> None:
    last_hour = datetime(2026, 3, 4, 23, tzinfo=UTC)
    rows = [
        (last_hour, "t1", "0.1"),
        (last_hour - HOUR, "t1", "0.2"),
        (last_hour + HOUR, "t2", "1"),
    ]
    store(database, costs(*rows))
    replace_teams(database, pl.DataFrame([("t1", "blue")], schema=TEAMS, orient="row"))

    days = database.cursor().execute(
        "select day, tenant, team, amount, hours, covered_hours from v_cost_daily order by day"
    )

    assert days.fetchall() == [
        (date(2026, 3, 4), "t1", "blue", Decimal("0.300000000"), 2, 2.0),
        (date(2026, 3, 5), "t2", "unattributed", Decimal("1.000000000"), 1, 1.0),
    ]


def test_what_tenants_pay_and_what_idles_is_the_bill(database: Database) -> None:
    store(
        database,
        costs((SPRING, "t1", "0.25"), (SPRING, "t2", "0.5"), (SPRING + HOUR, "t1", "2")),
        billed=bills((SPRING, "1"), (SPRING + HOUR, "1.5")),
    )

    idle = database.cursor().execute("select charged, idle, bill from v_cost_idle order by hour")

    assert idle.fetchall() == [
        (Decimal("0.75"), Decimal("0.25"), Decimal(1)),
        (Decimal(2), Decimal("-0.5"), Decimal("1.5")),
    ]


def hour_of(
    at: datetime, signal: str, mean: float, *, tenant: str = "t1", covered: float = 3600.0
) -> pl.DataFrame:
    return pl.DataFrame([(at, tenant, signal, mean, covered)], schema=IMPORTED, orient="row")


def measured(database: Database, at: datetime, *, mean: float) -> None:
    """Twelve buckets of accepted samples."""
    row = {"tenant": "t1", "signal": SAMPLES_RECEIVED, "max": mean, "mean": mean, "coverage": 1.0}
    rows = [
        {**row, "at": at + n * timedelta(minutes=5), "sum": mean, "count": 1} for n in range(12)
    ]
    import_rollups(
        database,
        pl.DataFrame(rows, schema=ROLLUPS),
        now=at + HOUR,
        sustained_for=timedelta(minutes=35),
    )


def test_what_was_measured_wins_over_what_was_imported(database: Database) -> None:
    measured(database, SPRING, mean=100.0)
    for at in (SPRING, SPRING + HOUR):
        import_usage(database, hour_of(at, SAMPLES_RECEIVED, 7.0), origin="backfill", at=SPRING)
    import_usage(database, hour_of(SPRING, ACTIVE_SERIES, 50.0), origin="backfill", at=SPRING)

    found = usage_hours(database, start=SPRING, end=SPRING + 2 * HOUR)

    assert found.select("at", "samples_per_second", "active_series").rows() == [
        (SPRING, 100.0, 50.0),
        (SPRING + HOUR, 7.0, None),
    ]
    assert found["covered_seconds"].to_list() == [3600.0, 3600.0]


def test_importing_the_same_again_changes_nothing(database: Database) -> None:
    for _ in range(2):
        stored = import_usage(
            database, hour_of(SPRING, SAMPLES_RECEIVED, 7.0), origin="backfill", at=SPRING
        )
        assert stored == 1

    rows = database.cursor().execute("select mean, origin from usage_imported").fetchall()
    assert rows == [(7.0, "backfill")]


@pytest.mark.parametrize("mean", [-1.0, float("inf"), float("nan")])
def test_what_is_no_usage_is_not_imported(database: Database, mean: float) -> None:
    good = hour_of(SPRING, SAMPLES_RECEIVED, 1.0)
    with pytest.raises(ValueError, match="not a number of zero or more"):
        import_usage(
            database,
            pl.concat([good, hour_of(SPRING, ACTIVE_SERIES, mean)]),
            origin="backfill",
            at=SPRING,
        )

    assert usage_hours(database, start=SPRING, end=SPRING + HOUR).is_empty()


def test_a_signal_of_a_part_of_the_hour_counts_for_that_part(database: Database) -> None:
    """Who was asked queries in half of what is known of an hour was asked half as many."""
    rows = [
        (SPRING, "t1", SAMPLES_RECEIVED, 10.0, 2400.0),
        (SPRING, "t1", ACTIVE_SERIES, 100.0, 1200.0),
    ]
    frame = pl.DataFrame(rows, schema=IMPORTED, orient="row")
    import_usage(database, frame, origin="backfill", at=SPRING)

    (found,) = usage_hours(database, start=SPRING, end=SPRING + HOUR).iter_rows(named=True)

    assert found["covered_seconds"] == 2400.0
    assert (found["samples_per_second"], found["active_series"]) == (10.0, 50.0)


def test_bills_are_kept_as_long_as_the_costs_beside_them(database: Database) -> None:
    later = SPRING + timedelta(days=300)
    for at in (SPRING, later):
        store(database, costs((at, "acme", "1")), billed=bills((at, "5")))

    deleted = apply_retention(database, now=SPRING + timedelta(days=401), sustained_for=HOUR)

    assert (deleted["costs"], deleted["bills"]) == (1, 1)
    assert database.cursor().execute('select "at" from bills').fetchall() == [(later,)]
