"""Levels are stored when they tell something, rates always; resources once a minute."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from policy.frames import SAMPLES
from policy.resources import MEMORY, RESOURCES
from policy.signals import INGESTION_RATE, SERIES
from storage.database import Database
from storage.maintenance import apply_retention
from storage.resources import append_resources
from storage.samples import append_samples
from storage.tenants import activity, seen

LOOK = timedelta(seconds=15)
HOUR = timedelta(hours=1)


def stored(
    database: Database,
    now: datetime,
    *looks: tuple[float, float],
    signal: str,
    remembers: bool,
) -> list[float]:
    told = None
    for n, (value, coverage) in enumerate(looks):
        row = (now + n * LOOK, "t1", signal, value, coverage)
        look = pl.DataFrame([row], schema=SAMPLES, orient="row")
        told = append_samples(database, look, told=told if remembers else None)
    found = database.cursor().execute('select value from samples order by "at"').fetchall()
    return [value for (value,) in found]


@pytest.fixture(params=[True, False], ids=["remembered", "asked of the table"])
def remembers(request: pytest.FixtureRequest) -> bool:
    """Whether what was stored before is at hand."""
    return bool(request.param)


@pytest.mark.parametrize(
    ("signal", "looks", "kept"),
    [
        (SERIES, [(100, 1), (101, 1), (99, 1)], [100]),
        (SERIES, [(100, 1), (101, 1), (102, 1), (102, 1)], [100, 102]),
        (SERIES, [(100, 1), (0, 1), (0, 1), (1, 1)], [100, 0, 1]),
        (SERIES, [(100, 1), (100, 0.9), (100, 0.9)], [100, 100]),
        (INGESTION_RATE, [(100, 1), (100, 1)], [100, 100]),
    ],
    ids=["as it was", "creeping", "from and to zero", "fewer pods", "a rate"],
)
def test_a_level_is_stored_again_when_it_changed_by_more_than_one_percent(
    database: Database,
    now: datetime,
    signal: str,
    looks: list[tuple[float, float]],
    kept: list[float],
    *,
    remembers: bool,
) -> None:
    assert stored(database, now, *looks, signal=signal, remembers=remembers) == kept


def test_every_five_minutes_have_a_sample_of_a_level(
    database: Database, now: datetime, *, remembers: bool
) -> None:
    """
    So a level that never changes has as many buckets as a rate.
    """
    looks = [(100.0, 1.0)] * 60

    found = stored(database, now, *looks, signal=SERIES, remembers=remembers)

    assert len(found) == 60 * LOOK // timedelta(minutes=5)


def test_resources_are_stored_once_a_minute_and_kept_two_days(
    database: Database, now: datetime
) -> None:
    found = pl.DataFrame(
        [("ingester-0", "ingester", MEMORY, 5.0, None)], schema=RESOURCES, orient="row"
    )
    for seconds in (0, 15, 45, 60, 75):
        append_resources(database, found, at=now + timedelta(seconds=seconds))

    rows = database.cursor().execute("from v_resources order by measured_at").fetchall()
    assert rows == [
        (now + timedelta(minutes=n), "ingester-0", "ingester", MEMORY, 5.0, None) for n in (0, 1)
    ]
    deleted = apply_retention(database, now=now + 49 * HOUR, sustained_for=HOUR)
    assert deleted["resources"] == 2


def test_hours_of_looking_are_kept_by_their_number_and_an_absence_is_told_as_all_of_them(
    database: Database, now: datetime
) -> None:
    """
    Long ago is still told as at least as many hours as are kept, and lately to the hour.
    """
    database.cursor().execute(
        "insert into looked_hours select $now::timestamptz + interval '1 hour' * n"
        " from range(2500) as hours(n)",
        {"now": now},
    )
    seen(database, ["long ago"], at=now)
    seen(database, ["lately"], at=now + 2_490 * HOUR)

    deleted = apply_retention(database, now=now + 2_500 * HOUR, sustained_for=HOUR)

    absent = dict(activity(database).select("tenant", "absent_hours").iter_rows())
    assert deleted["looked_hours"] == 100
    assert absent == {"long ago": 2_400, "lately": 9}
