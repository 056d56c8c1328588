"""What was usual when an emergency began: what it brought itself is no part of that."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import exp

import polars as pl
import pytest

from policy.signals import INGESTION_RATE, SERIES
from storage.database import Database
from storage.needs import usually
from storage.rollups import ROLLUPS, import_rollups

BUCKET = timedelta(minutes=5)
HOUR = timedelta(hours=1)
WEEK = timedelta(weeks=1)
LAST_HOURS = 8


def fill(
    database: Database, told: dict[datetime, float], *, now: datetime, signal: str = INGESTION_RATE
) -> None:
    """Each value for the hour that begins then."""
    rows = [
        (hour + number * BUCKET, "acme", signal, value, value, value, 1, 1.0)
        for hour, value in told.items()
        for number in range(HOUR // BUCKET)
    ]
    frame = pl.DataFrame(rows, schema=ROLLUPS, orient="row")
    import_rollups(database, frame, now=now, sustained_for=timedelta(minutes=35))


def calm(now: datetime, value: float = 100.0) -> dict[datetime, float]:
    return {now - number * HOUR: value for number in range(1, LAST_HOURS + 1)}


def row(
    database: Database, *, begun: datetime, now: datetime, signal: str = INGESTION_RATE
) -> dict[str, float | None]:
    found = usually(database, begun=begun, now=now).filter(tenant="acme", signal=signal)
    return found.row(0, named=True)


def test_it_is_the_median_of_six_hours_and_the_peak_of_the_day_before(
    database: Database, now: datetime
) -> None:
    fill(database, {**calm(now), now - 7 * HOUR: 900.0}, now=now)

    found = row(database, begun=now, now=now)

    assert (found["recent"], found["peak"]) == (100, 900)


def test_what_the_emergency_brought_does_not_count_however_long_it_lasts(
    database: Database, now: datetime
) -> None:
    later = now + 12 * HOUR
    fill(database, {**calm(now), **{now + n * HOUR: 5_000.0 for n in range(12)}}, now=later)

    found = row(database, begun=now, now=later)

    assert (found["recent"], found["peak"]) == (100, 100)


def test_the_running_hour_makes_no_peak_because_an_overload_rises_before_it_is_told(
    database: Database, now: datetime
) -> None:
    fill(database, {**calm(now), now: 5_000.0}, now=now + HOUR)

    found = row(database, begun=now + HOUR / 2, now=now + HOUR / 2)

    assert (found["recent"], found["peak"]) == (100, 100)


def test_the_hours_of_past_weeks_go_on_with_the_clock(database: Database, now: datetime) -> None:
    """
    Who begins to work in the middle of an emergency is let in as on every such morning.
    """
    mornings = {now + 3 * HOUR - n * WEEK: 4_000.0 for n in (1, 2, 3)}
    fill(database, {**calm(now), **mornings}, now=now)

    at_first = row(database, begun=now, now=now)
    later = row(database, begun=now, now=now + 3 * HOUR)

    assert (at_first["mid"], at_first["peak"]) == (None, 100)
    assert later["mid"] is not None
    assert exp(later["mid"]) == pytest.approx(4_000)
    assert later["peak"] == 4_000


def test_series_are_told_as_well_and_other_signals_are_not(
    database: Database, now: datetime
) -> None:
    fill(database, calm(now), now=now, signal=SERIES)
    fill(database, calm(now), now=now, signal="alertmanager_silences")

    found = usually(database, begun=now, now=now)

    assert found["signal"].to_list() == [SERIES]
