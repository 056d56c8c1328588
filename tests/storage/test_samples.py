"""What the history says of samples, rolled up or not."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from policy.frames import SAMPLES
from policy.signals import (
    DISCARDED_RATE_LIMITED,
    INGESTION_RATE,
)
from storage.database import Database
from storage.rollups import roll_up
from storage.samples import (
    append_samples,
    baseline,
    latest,
    refused_since,
    usage_between,
)

SUSTAINED = timedelta(minutes=35)

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def samples(*rows: tuple[datetime, str, str, float | None, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SAMPLES, orient="row")


def an_hour_of(now: datetime, *, rolled: int, database: Database) -> None:
    """Samples of t1 each minute of the hour before `now`: value = minutes since its start."""
    start = now - timedelta(hours=1)
    frame = samples(
        *((start + timedelta(minutes=m), "t1", INGESTION_RATE, float(m), 1.0) for m in range(60))
    )
    append_samples(database, frame)
    if rolled:
        roll_up(database, now=start + timedelta(minutes=rolled), sustained_for=SUSTAINED)


def test_what_was_refused_lately_is_known_before_it_is_rolled_up(
    database: Database, now: datetime
) -> None:
    append_samples(
        database,
        samples(
            (now - MINUTE, "t1", DISCARDED_RATE_LIMITED, 7.0, 1.0),
            (now, "t1", DISCARDED_RATE_LIMITED, 5.0, 1.0),
            (now, "t1", INGESTION_RATE, 90.0, 1.0),
            (now, "t2", DISCARDED_RATE_LIMITED, 0.0, 1.0),
            (now - HOUR, "t3", DISCARDED_RATE_LIMITED, 9.0, 1.0),
        ),
    )

    found = refused_since(database, since=now - 10 * MINUTE, now=now)

    assert found.schema == SAMPLES
    assert found.select("tenant", "signal", "value").rows() == [("t1", DISCARDED_RATE_LIMITED, 7.0)]


def test_a_sample_without_a_value_was_not_measured(database: Database, now: datetime) -> None:
    append_samples(database, samples((now, "t1", INGESTION_RATE, None, 1.0)))

    assert latest(database, since=now - DAY).is_empty()


def test_not_a_number_never_gets_in(database: Database, now: datetime) -> None:
    with pytest.raises(ValueError, match="signal ingestion_rate is not finite"):
        append_samples(database, samples((now, "t1", INGESTION_RATE, float("nan"), 1.0)))

    assert latest(database, since=now - DAY).is_empty()


def test_latest_is_the_newest_sample_of_each_tenant_and_signal(
    database: Database, now: datetime
) -> None:
    newest = (now, "t1", INGESTION_RATE, 2.0, 0.9)
    append_samples(
        database,
        samples(newest, (now - timedelta(seconds=15), "t1", INGESTION_RATE, 8.0, 1.0)),
    )

    assert latest(database, since=now - DAY).rows() == [newest]


def test_usage_is_value_times_seconds_and_says_how_much_was_covered(
    database: Database, now: datetime
) -> None:
    """
    One bucket of 10/s and one of 20/s: 600 seconds are covered, the rest of the hour is not.
    """
    start = now - timedelta(hours=1)
    append_samples(
        database,
        samples(
            (start, "t1", INGESTION_RATE, 10.0, 1.0),
            (start + timedelta(minutes=5), "t1", INGESTION_RATE, 15.0, 1.0),
            (start + timedelta(minutes=6), "t1", INGESTION_RATE, 25.0, 1.0),
            (now, "t1", INGESTION_RATE, 999.0, 1.0),
        ),
    )
    roll_up(database, now=start + timedelta(minutes=5), sustained_for=SUSTAINED)

    used = usage_between(database, signal=INGESTION_RATE, start=start, end=now)

    assert used.rows() == [("t1", 10.0 * 300 + 20.0 * 300, 600.0)]


def test_a_bucket_that_a_late_sample_reopened_counts_once(
    database: Database, now: datetime
) -> None:
    start = now - timedelta(hours=1)
    append_samples(database, samples((start, "t1", INGESTION_RATE, 10.0, 1.0)))
    roll_up(database, now=now, sustained_for=SUSTAINED)
    late = start + timedelta(minutes=1)
    append_samples(database, samples((late, "t1", INGESTION_RATE, 30.0, 1.0)))

    used = usage_between(database, signal=INGESTION_RATE, start=start, end=now)

    assert used.rows() == [("t1", 20.0 * 300, 300.0)]


def test_the_baseline_is_the_median_of_the_buckets_before_the_newest(
    database: Database, now: datetime
) -> None:
    append_samples(
        database,
        samples(
            *(
                (now - timedelta(minutes=5 * (3 - i)), "t1", INGESTION_RATE, value, 1.0)
                for i, value in enumerate([10.0, 30.0, 20.0])
            ),
            (now, "t1", INGESTION_RATE, 500.0, 1.0),
            (now, "new", INGESTION_RATE, 5.0, 1.0),
            (now - timedelta(minutes=10), "gone", INGESTION_RATE, 5.0, 1.0),
        ),
    )

    usual = baseline(database, now=now, window=DAY, signal=INGESTION_RATE)

    assert usual.filter(tenant="t1").rows() == [("t1", 20.0, 3)]
    assert "new" not in usual["tenant"]


def test_the_baseline_counts_what_was_rolled_up_already(database: Database, now: datetime) -> None:
    earlier = now - timedelta(hours=2)
    append_samples(database, samples((earlier, "t1", INGESTION_RATE, 40.0, 1.0)))
    roll_up(database, now=now, sustained_for=SUSTAINED)
    append_samples(database, samples((now, "t1", INGESTION_RATE, 900.0, 1.0)))

    found = baseline(database, now=now, window=DAY, signal=INGESTION_RATE)

    assert found.rows() == [("t1", 40.0, 1)]
