"""The peaks of hours and days: what is calm, what was held, and what late samples change."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from policy.frames import DAYS, SAMPLES
from policy.signals import BLASTING, DISCARDED_RATE_LIMITED, INGESTION_RATE, SERIES
from storage.database import Database
from storage.peaks import days, limit_batches
from storage.rollups import ROLLUPS, import_rollups, roll_up
from storage.samples import append_samples

MINUTE = timedelta(minutes=1)
BUCKET = timedelta(minutes=5)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SUSTAINED = timedelta(minutes=15)
RATES = {INGESTION_RATE: INGESTION_RATE}


def add(
    database: Database,
    start: datetime,
    *values: float,
    signal: str = INGESTION_RATE,
    coverage: float = 1.0,
    every: timedelta = BUCKET,
) -> None:
    """One sample of t1 each five minutes from `start`."""
    rows = [(start + every * n, "t1", signal, value, coverage) for n, value in enumerate(values)]
    append_samples(database, pl.DataFrame(rows, schema=SAMPLES, orient="row"))


def hour_of(database: Database, at: datetime, signal: str = INGESTION_RATE) -> dict[str, object]:
    found = database.cursor().execute(
        'select * from peaks_hourly where "at" = ? and signal = ?', [at, signal]
    )
    return found.pl().row(0, named=True)


def day_of(database: Database, now: datetime) -> dict[str, object]:
    return days(database, now=now, window=HOUR, limits=RATES).row(0, named=True)


def test_what_was_held_is_the_level_of_the_third_largest_bucket_for_fifteen_minutes(
    database: Database, now: datetime
) -> None:
    add(database, now, 10, 90, 20, 80, 30, 70)

    roll_up(database, now=now + HOUR, sustained_for=SUSTAINED)

    hour = hour_of(database, now)
    assert (hour["max"], hour["sustained"]) == (90, 70)


@pytest.mark.parametrize(
    ("sustained_for", "held"),
    [(MINUTE, 60), (5 * MINUTE, 60), (6 * MINUTE, 50), (DAY, 10)],
    ids=["less than a bucket", "one bucket", "two buckets begun", "more than an hour"],
)
def test_what_is_held_counts_in_buckets_of_five_minutes_and_an_hour_at_most(
    database: Database, now: datetime, sustained_for: timedelta, held: float
) -> None:
    add(database, now, 10, 20, 30, 40, 50, 60)

    roll_up(database, now=now + HOUR, sustained_for=sustained_for)

    assert hour_of(database, now)["sustained"] == held


def test_of_a_running_hour_nobody_knows_yet_what_is_held_until_enough_of_it_is_over(
    database: Database, now: datetime
) -> None:
    add(database, now, 10, 20)
    roll_up(database, now=now + 2 * BUCKET, sustained_for=SUSTAINED)
    young = hour_of(database, now)["sustained"]

    add(database, now + 2 * BUCKET, 30)
    roll_up(database, now=now + 3 * BUCKET, sustained_for=SUSTAINED)

    assert (young, hour_of(database, now)["sustained"]) == (None, 10)


def test_an_hour_that_ended_while_nobody_looked_holds_its_smallest_bucket(
    database: Database, now: datetime
) -> None:
    """
    No bucket of it is fresh any more when it is over: it is made anew all the same.
    """
    add(database, now, 10, 20)
    roll_up(database, now=now + 2 * BUCKET, sustained_for=SUSTAINED)

    rolled = roll_up(database, now=now + HOUR, sustained_for=SUSTAINED)

    assert rolled == 0
    assert hour_of(database, now)["sustained"] == 10
    assert day_of(database, now)["sustained"] == 10


def test_what_a_blast_asked_for_is_neither_calm_nor_held(database: Database, now: datetime) -> None:
    add(database, now, 10, 20, 30, 900, 900)
    add(database, now + 3 * BUCKET, 1, 1, signal=BLASTING)

    roll_up(database, now=now + HOUR, sustained_for=SUSTAINED)

    hour = hour_of(database, now)
    assert (hour["max"], hour["calm"], hour["sustained"]) == (900, 30, 10)


def test_the_series_of_a_blast_spoil_four_hours_and_the_rate_does_not(
    database: Database, now: datetime
) -> None:
    add(database, now, 1, signal=BLASTING)
    for signal in (SERIES, INGESTION_RATE):
        add(database, now, 900, 800, 700, 600, 50, signal=signal, every=HOUR)

    roll_up(database, now=now + 5 * HOUR, sustained_for=SUSTAINED)

    calm = {
        (signal, hour): hour_of(database, now + hour * HOUR, signal)["calm"]
        for signal in (SERIES, INGESTION_RATE)
        for hour in range(5)
    }
    assert [calm[SERIES, hour] for hour in range(5)] == [None, None, None, None, 50]
    assert [calm[INGESTION_RATE, hour] for hour in range(5)] == [None, 800, 700, 600, 50]


def test_a_blast_that_is_told_late_spoils_the_hours_after_it(
    database: Database, now: datetime
) -> None:
    add(database, now + HOUR, 900, signal=SERIES)
    roll_up(database, now=now + 2 * HOUR, sustained_for=SUSTAINED)

    add(database, now, 1, signal=BLASTING)
    roll_up(database, now=now + 2 * HOUR, sustained_for=SUSTAINED)

    assert hour_of(database, now + HOUR, SERIES)["calm"] is None


def test_each_five_minutes_count_alike_in_the_mean_however_often_they_were_sampled(
    database: Database, now: datetime
) -> None:
    add(database, now, 10)
    add(database, now + BUCKET, 40, 40, 40, 40, every=MINUTE)

    roll_up(database, now=now + HOUR, sustained_for=SUSTAINED)

    assert hour_of(database, now)["mean"] == (10 + 40) / 2


def test_a_day_is_the_largest_of_its_hours_and_says_how_much_of_it_is_known(
    database: Database, now: datetime
) -> None:
    add(database, now, 10, 20, 30)
    add(database, now + HOUR, 50, 60, 70, coverage=0.5)

    roll_up(database, now=now + 2 * HOUR, sustained_for=SUSTAINED)

    found = days(database, now=now + 2 * HOUR, window=DAY, limits=RATES)
    assert found.schema == DAYS
    assert found.to_dicts() == [
        {
            "tenant": "t1",
            "limit": INGESTION_RATE,
            "day": now.date(),
            "peak": 70.0,
            "sustained": 50.0,
            "points": 6,
            "hours": 2,
            "coverage": (1.0 + 0.5) / 2,
            "pressure": None,
            "last_at": now + HOUR + 3 * BUCKET,
        }
    ]


def test_a_late_sample_redoes_its_day(database: Database, now: datetime) -> None:
    add(database, now - DAY, 10)
    add(database, now, 20)
    roll_up(database, now=now + HOUR, sustained_for=SUSTAINED)

    add(database, now - DAY + MINUTE, 90)
    roll_up(database, now=now + HOUR, sustained_for=SUSTAINED)

    found = days(database, now=now, window=2 * DAY, limits=RATES)
    assert found["peak"].to_list() == [90, 20]


def test_the_pressure_is_the_worst_of_that_day_on_that_limit(
    database: Database, now: datetime
) -> None:
    for at, discarded in ((now - DAY, 0.0), (now, 7.0)):
        for signal in (INGESTION_RATE, SERIES):
            add(database, at, 100, signal=signal)
        add(database, at, discarded, signal=DISCARDED_RATE_LIMITED)
    roll_up(database, now=now + HOUR, sustained_for=SUSTAINED)

    found = days(database, now=now, window=DAY, limits={**RATES, SERIES: SERIES})

    assert found.select("limit", "pressure").rows() == [
        (INGESTION_RATE, 0.0),
        (INGESTION_RATE, 7.0),
        (SERIES, None),
        (SERIES, None),
    ]


def test_the_window_is_told_in_whole_days_and_only_of_those_asked_for(
    database: Database, now: datetime
) -> None:
    rows = [
        (now.replace(minute=0) - age * DAY, tenant, INGESTION_RATE, 1.0, 1.0)
        for age in range(4)
        for tenant in ("b", "a", "c")
    ]
    append_samples(database, pl.DataFrame(rows, schema=SAMPLES, orient="row"))
    roll_up(database, now=now + HOUR, sustained_for=SUSTAINED)

    found = days(database, now=now, window=2 * DAY, limits=RATES, tenants=["c", "a"])

    assert found.select("tenant", "day").rows() == [
        (tenant, now.date() - timedelta(days=age)) for tenant in ("a", "c") for age in (2, 1, 0)
    ]
    assert days(database, now=now, window=DAY, limits=RATES, tenants=[]).is_empty()


def test_the_limits_come_in_parts_of_so_many_rows(database: Database, now: datetime) -> None:
    """Three tenants of two days are six rows a limit."""
    rows = [(now, f"t{n}", INGESTION_RATE, 1.0, 1.0) for n in (3, 1, 2)]
    append_samples(database, pl.DataFrame(rows, schema=SAMPLES, orient="row"))
    roll_up(database, now=now + HOUR, sustained_for=SUSTAINED)
    limits = dict.fromkeys(("a", "b", "c"), INGESTION_RATE)
    parts = partial(limit_batches, database, now=now, window=DAY, limits=limits)

    sizes = [[len(part) for part in parts(rows=rows)] for rows in (100, 12, 1)]

    assert sizes == [[3], [2, 1], [1, 1, 1]]
    assert {name for part in parts(rows=1) for name in part} == set(limits)


def test_a_day_is_a_utc_day(database: Database, now: datetime) -> None:
    midnight = now.replace(hour=0)
    add(database, midnight - BUCKET, 1, 2)
    roll_up(database, now=now, sustained_for=SUSTAINED)

    found = days(database, now=now, window=DAY, limits=RATES)

    assert found.select("day", "peak").rows() == [
        ((midnight - DAY).date(), 1.0),
        (date(2026, 3, 4), 2.0),
    ]


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(st.tuples(st.integers(0, 35), st.integers(0, 1_000)), min_size=1, max_size=30),
    cut=st.integers(0, 30),
)
def test_however_the_samples_come_the_same_peaks_are_made(
    values: list[tuple[int, int]], cut: int
) -> None:
    """In one go, or some before a roll-up and some late after it; and again after nothing."""
    start = datetime.fromisoformat("2026-03-04T21:00:00+00:00")
    end = start + 36 * BUCKET

    def filled(*parts: list[tuple[int, int]]) -> tuple[pl.DataFrame, pl.DataFrame]:
        with Database.open(":memory:", clock=lambda: start) as opened:
            for part in parts:
                rows = [
                    (start + BUCKET * place, "t1", INGESTION_RATE, float(value), 1.0)
                    for place, value in part
                ]
                append_samples(opened, pl.DataFrame(rows, schema=SAMPLES, orient="row"))
                roll_up(opened, now=end, sustained_for=SUSTAINED)
            return (
                opened.cursor().execute("from peaks_hourly order by all").pl(),
                opened.cursor().execute("from peaks_daily order by all").pl(),
            )

    once = filled(values)
    twice = filled(values[:cut], values[cut:], [])

    for first, second in zip(once, twice, strict=True):
        # Sums of fractions differ in their last bit by the order in which they are added.
        assert_frame_equal(first, second)


def test_imported_hours_make_days_as_measured_ones_do(database: Database, now: datetime) -> None:
    start = now - 30 * DAY
    rows = [
        (start + BUCKET * n, "t1", INGESTION_RATE, value, value, value, 1, 1.0)
        for n, value in enumerate([30.0, 10.0, 20.0])
    ]

    import_rollups(
        database, pl.DataFrame(rows, schema=ROLLUPS, orient="row"), now=now, sustained_for=SUSTAINED
    )

    found = days(database, now=now, window=40 * DAY, limits=RATES)
    assert found.select("peak", "sustained", "hours").rows() == [(30.0, 10.0, 1)]


BEFORE_PEAKS = """
    drop view v_savings; drop table savings; drop view v_budget_status; drop table budgets;
    drop view v_cost_alerts; drop table cost_alerts;
    drop view v_usage_hourly; drop view v_cost_hourly; drop view v_cost_idle; drop table bills;
    drop table teams; drop table usage_imported; drop table costs;
    create table costs (
        "at" timestamptz not null, tenant varchar not null, method varchar not null,
        amount decimal(18, 6) not null, currency varchar not null, quantity double,
        price decimal(18, 9), run_id varchar
    );
    drop table emergency; drop view v_breakers; drop view v_breaker_turns; drop table breakers;
    drop table breaker_turns; drop table breaker_switches; drop table breaker_thresholds;
    drop view v_holds; drop table holds; drop table pauses; drop table writer_epochs;
    drop table history_identity;
    drop view v_standings; drop table standings; drop view v_backtests; drop table backtests;
    drop view v_moves; drop table moves; drop table leanings;
    drop table peaks_daily; drop table open_hours; drop table peaks_weekly; drop table resources;
    drop view v_tenant_usage_daily; drop view v_tenant_usage_weekly; drop view v_resources;
    alter table peaks_hourly drop column calm; alter table peaks_hourly drop column sustained;
    alter table peaks_hourly drop column coverage; alter table peaks_hourly drop column points;
    alter table peaks_hourly drop column last_at;
    alter table audit drop column exported;
    delete from schema_migrations where version >= 5
"""


def test_an_older_history_learns_its_days_from_the_buckets_that_are_here(
    path: Path, now: datetime
) -> None:
    """
    Of an hour whose buckets are gone only the peak is known.
    """
    forgotten = now - 40 * DAY
    with Database.open(str(path), clock=lambda: now) as older:
        add(older, forgotten, 5, 6, 7)
        add(older, now, *range(10, 19), 900)
        add(older, now + 9 * BUCKET, 1, signal=BLASTING)
        roll_up(older, now=now + HOUR, sustained_for=timedelta(minutes=35))
        made = day_of(older, now + HOUR)
        older.cursor().execute('delete from rollups_5m where "at" < ?', [now - 30 * DAY])
        older.cursor().execute(BEFORE_PEAKS)

    with Database.open(str(path), clock=lambda: now) as migrated:
        found = days(migrated, now=now + HOUR, window=50 * DAY, limits=RATES)

    assert found.row(1, named=True) == made
    assert found.row(0, named=True) == {
        **made,
        "day": forgotten.date(),
        "peak": 7.0,
        "sustained": None,
        "points": None,
        "coverage": None,
        "last_at": forgotten + HOUR,
    }
