"""What is usual of all tenants together, and the rises that are kept."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import exp

import polars as pl
import pytest

from policy.cluster_rise import RISES
from policy.signals import SAMPLES_ASKED
from storage.cluster_rises import cluster_usual, record_rises, running_rises
from storage.database import Database
from storage.rollups import ROLLUPS, import_rollups

HOUR = timedelta(hours=1)
BUCKET = timedelta(minutes=5)
WEEK = timedelta(weeks=1)


def remember(database: Database, at: datetime, *values: float) -> None:
    """Five minutes of so many tenants."""
    rows = [
        (at, f"t{place}", SAMPLES_ASKED, value, value, value, 1, 1.0)
        for place, value in enumerate(values)
    ]
    import_rollups(
        database,
        pl.DataFrame(rows, schema=ROLLUPS, orient="row"),
        now=at + HOUR,
        sustained_for=BUCKET,
    )


def usual(database: Database, now: datetime) -> dict[str, object]:
    (found,) = cluster_usual(database, now=now, signals=[SAMPLES_ASKED]).to_dicts()
    return found


def rise(at: datetime, **told: object) -> pl.DataFrame:
    row: dict[str, object] = {
        "kind": "ingestion",
        "began_at": at,
        "value": 2.0,
        "usual": 1.0,
        "because": "as told",
        "tenants": "{}",
        "grown": False,
    }
    return pl.DataFrame([row | told], schema=RISES)


def test_the_sums_of_the_same_hours_of_past_weeks_are_usual(
    database: Database, now: datetime
) -> None:
    for week, values in enumerate([(10, 20), (30, 20), (40, 30)], start=1):
        remember(database, now - week * WEEK, *values)
    remember(database, now - 2 * WEEK + 5 * HOUR, 5_000)

    found = usual(database, now)

    assert found["points"] == 3
    assert exp(float(str(found["mid"]))) == pytest.approx(50)
    assert found["peak"] == 70


def test_the_last_hours_are_known_once_there_is_an_hour_of_them(
    database: Database, now: datetime
) -> None:
    for place in range(1, 12):
        remember(database, now - place * BUCKET, 10, 20)
    young = usual(database, now)["recent"]

    remember(database, now - 12 * BUCKET, 10, 20)

    assert (young, usual(database, now)["recent"]) == (None, 30)


@pytest.mark.parametrize(("grown", "peak"), [(False, 30), (True, 900)])
def test_what_was_told_as_a_rise_is_no_habit_unless_it_stayed(
    database: Database, now: datetime, *, grown: bool, peak: float
) -> None:
    remember(database, now - 3 * HOUR, 10, 20)
    remember(database, now - 2 * HOUR, 400, 500)
    began = rise(now - 2 * HOUR)
    record_rises(database, begins=began, over=RISES.to_frame())
    ended = rise(now - 2 * HOUR, over_at=now - HOUR, grown=grown)
    record_rises(database, begins=RISES.to_frame(), over=ended)

    assert usual(database, now)["peak"] == peak
    assert running_rises(database).is_empty()


def test_a_rise_that_is_on_is_there_after_a_restart(database: Database, now: datetime) -> None:
    record_rises(database, begins=rise(now), over=RISES.to_frame())

    assert running_rises(database)["began_at"].to_list() == [now]
