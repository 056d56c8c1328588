"""What is usual in each hour of the week, and which cells a roll-up touches."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from policy.frames import SEASONS
from policy.signals import DISCARDED_RATE_LIMITED, INGESTION_RATE
from storage.database import Database
from storage.rollups import ROLLUPS, import_rollups
from storage.seasons import seasons

WEEK = timedelta(weeks=1)
HOUR = timedelta(hours=1)
RATES = {INGESTION_RATE: INGESTION_RATE}


def put(
    database: Database,
    peaks: dict[datetime, float],
    *,
    now: datetime,
    tenant: str = "t1",
    signal: str = INGESTION_RATE,
) -> None:
    """One bucket with that peak at each of those times, rolled up at `now`."""
    rows = [(at, tenant, signal, peak, peak, peak, 1, 1.0) for at, peak in peaks.items()]
    frame = pl.DataFrame(rows, schema=ROLLUPS, orient="row")
    import_rollups(database, frame, now=now, sustained_for=HOUR)


def decayed(peaks: dict[int, float], *, quantile: float = 0.95) -> float:
    """The definition, by hand: peaks by their age in weeks, one of two weeks counts half."""
    weighed = sorted((peak, 2 ** (-age / 2)) for age, peak in peaks.items())
    whole = sum(weight for _, weight in weighed)
    reached = 0.0
    for peak, weight in weighed:
        reached += weight
        if reached >= quantile * whole:
            return peak
    raise AssertionError(peaks)


@pytest.mark.parametrize("oldest", [0, 1, 5, 9], ids=str)
def test_a_level_is_the_decayed_percentile_of_that_hours_peaks(
    database: Database, now: datetime, oldest: int
) -> None:
    """The week with the highest peak is the oldest: it fades."""
    by_age = {age: 100.0 + age for age in range(oldest + 1)}
    put(database, {now - age * WEEK: peak for age, peak in by_age.items()}, now=now + HOUR)

    found = seasons(database, limits=RATES)

    assert found.schema == SEASONS
    hour_of_week = now.weekday() * 24 + now.hour
    assert found.rows() == [
        ("t1", INGESTION_RATE, hour_of_week, decayed(by_age), oldest + 1),
    ]


def test_weeks_before_the_last_ten_are_forgotten(database: Database, now: datetime) -> None:
    put(database, {now: 5.0, now - 10 * WEEK: 900.0}, now=now + HOUR)

    assert seasons(database, limits=RATES).select("level", "weeks").rows() == [(5.0, 1)]


def test_the_running_hour_is_no_season_until_it_is_over(database: Database, now: datetime) -> None:
    put(database, {now - WEEK: 50.0, now: 1.0}, now=now + HOUR / 2)
    running = seasons(database, limits=RATES)

    put(database, {now - HOUR: 7.0}, now=now + HOUR)

    cell = pl.col("hour_of_week") == now.weekday() * 24 + now.hour
    assert running.select("level", "weeks").rows() == [(50.0, 1)]
    assert seasons(database, limits=RATES).filter(cell)["weeks"].to_list() == [2]


def test_an_old_hour_that_is_imported_counts_by_its_age(database: Database, now: datetime) -> None:
    put(database, {now: 5.0}, now=now + HOUR)

    put(database, {now - 8 * WEEK: 900.0}, now=now + HOUR)

    assert seasons(database, limits=RATES)["level"].to_list() == [decayed({0: 5.0, 8: 900.0})]


def test_discards_have_no_season_and_each_limit_has_that_of_its_signal(
    database: Database, now: datetime
) -> None:
    put(database, {now: 5.0}, now=now + HOUR)
    put(database, {now: 5.0}, now=now + HOUR, tenant="t2")
    put(database, {now: 9.0}, now=now + HOUR, signal=DISCARDED_RATE_LIMITED)

    found = seasons(database, limits={"a": INGESTION_RATE, "b": INGESTION_RATE}, tenants=["t2"])

    kept = database.cursor().execute("select distinct signal from peaks_weekly").fetchall()
    assert found.select("tenant", "limit").rows() == [("t2", "a"), ("t2", "b")]
    assert kept == [(INGESTION_RATE,)]
