"""What the history says of samples, rolled up or not."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from policy.frames import HISTORY, SAMPLES
from policy.signals import (
    ACTIVE_SERIES,
    BLASTING,
    DISCARDED_RATE_LIMITED,
    DISCARDED_SERIES_LIMIT,
    INGESTION_RATE,
    SERIES,
)
from storage.database import Database
from storage.rollups import roll_up
from storage.samples import append_samples, baseline, history, latest, newest_values, usage_between

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
        roll_up(database, now=start + timedelta(minutes=rolled))


@pytest.mark.parametrize("rolled", [0, 30, 60], ids=["raw", "half rolled up", "rolled up"])
def test_history_is_the_same_however_much_is_rolled_up(
    database: Database, now: datetime, rolled: int
) -> None:
    an_hour_of(now, rolled=rolled, database=database)

    found = history(database, now=now, window=DAY, limits={INGESTION_RATE: INGESTION_RATE})

    row = found.drop("last_at").row(0, named=True)
    assert found.schema == HISTORY
    assert row == {
        "tenant": "t1",
        "limit": INGESTION_RATE,
        "peak": 59.0,
        "recent": 59.0,
        "points": 12,
        "hours": pytest.approx(55 / 60),
        "coverage": 1.0,
        "pressure": None,
    }


def test_several_limits_may_be_read_from_one_signal(database: Database, now: datetime) -> None:
    """The pressure stays that on the limit itself."""
    append_samples(
        database,
        samples(
            (now, "t1", ACTIVE_SERIES, 100.0, 1.0),
            (now, "t1", SERIES, 900.0, 1.0),
            (now, "t1", DISCARDED_SERIES_LIMIT, 7.0, 1.0),
        ),
    )

    found = history(
        database, now=now, window=DAY, limits={SERIES: ACTIVE_SERIES, "max_new": ACTIVE_SERIES}
    )

    assert found.select("limit", "peak", "pressure").rows() == [
        (SERIES, 100.0, 7.0),
        ("max_new", 100.0, None),
    ]


def test_history_takes_the_pressure_from_the_discards_of_that_limit(
    database: Database, now: datetime
) -> None:
    """
    A series limit is not under pressure because samples were rate limited.
    """
    append_samples(
        database,
        samples(
            (now, "t1", INGESTION_RATE, 100.0, 1.0),
            (now, "t1", SERIES, 5_000.0, 1.0),
            (now, "t1", DISCARDED_RATE_LIMITED, 7.0, 1.0),
            (now, "t2", INGESTION_RATE, 50.0, 1.0),
        ),
    )

    found = history(
        database, now=now, window=DAY, limits={INGESTION_RATE: INGESTION_RATE, SERIES: SERIES}
    )

    pressures = {(r["tenant"], r["limit"]): r["pressure"] for r in found.to_dicts()}
    assert pressures == {
        ("t1", INGESTION_RATE): 7.0,
        ("t1", SERIES): None,
        ("t2", INGESTION_RATE): None,
    }


def test_history_of_nothing_is_empty_and_keeps_its_schema(
    database: Database, now: datetime
) -> None:
    found = history(database, now=now, window=DAY, limits={INGESTION_RATE: INGESTION_RATE})

    assert found.is_empty()
    assert found.schema == HISTORY


def test_history_knows_the_mean_coverage_and_forgets_what_is_before_the_window(
    database: Database, now: datetime
) -> None:
    append_samples(
        database,
        samples(
            (now - 2 * DAY, "t1", INGESTION_RATE, 900.0, 0.1),
            (now - timedelta(hours=2), "t1", INGESTION_RATE, 10.0, 0.5),
            (now, "t1", INGESTION_RATE, 20.0, 1.0),
        ),
    )

    row = history(database, now=now, window=DAY, limits={INGESTION_RATE: INGESTION_RATE}).row(
        0, named=True
    )

    assert row["peak"] == 20.0
    assert row["coverage"] == 0.75
    assert row["last_at"] == now


def test_what_a_blast_asked_for_is_no_part_of_the_peak(database: Database, now: datetime) -> None:
    """
    Of series also the four hours after it: they stay in memory until the head is compacted.
    """
    blast = now - timedelta(hours=6)
    append_samples(
        database,
        samples(
            *((blast - HOUR, "t1", limit, 10.0, 1.0) for limit in (INGESTION_RATE, SERIES)),
            (blast, "t1", BLASTING, 1.0, 1.0),
            *((blast, "t1", limit, 900.0, 1.0) for limit in (INGESTION_RATE, SERIES)),
            *((blast, "t2", limit, 700.0, 1.0) for limit in (INGESTION_RATE, SERIES)),
            *((blast + HOUR, "t1", limit, 50.0, 1.0) for limit in (INGESTION_RATE, SERIES)),
            *((blast + 5 * HOUR, "t1", limit, 20.0, 1.0) for limit in (INGESTION_RATE, SERIES)),
        ),
    )

    seen = history(
        database, now=now, window=DAY, limits={INGESTION_RATE: INGESTION_RATE, SERIES: SERIES}
    )

    assert seen.select("tenant", "limit", "peak").rows() == [
        ("t1", INGESTION_RATE, 50.0),
        ("t1", SERIES, 20.0),
        ("t2", INGESTION_RATE, 700.0),
        ("t2", SERIES, 700.0),
    ]


def test_a_tenant_that_did_nothing_but_blast_has_no_peak(database: Database, now: datetime) -> None:
    append_samples(
        database,
        samples((now, "t1", BLASTING, 1.0, 1.0), (now, "t1", INGESTION_RATE, 900.0, 1.0)),
    )

    seen = history(database, now=now, window=DAY, limits={INGESTION_RATE: INGESTION_RATE})

    assert seen["peak"].to_list() == [None]


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
    roll_up(database, now=start + timedelta(minutes=5))

    used = usage_between(database, signal=INGESTION_RATE, start=start, end=now)

    assert used.rows() == [("t1", 10.0 * 300 + 20.0 * 300, 600.0)]


def test_a_bucket_that_a_late_sample_reopened_counts_once(
    database: Database, now: datetime
) -> None:
    start = now - timedelta(hours=1)
    append_samples(database, samples((start, "t1", INGESTION_RATE, 10.0, 1.0)))
    roll_up(database, now=now)
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
    newest = newest_values(database, now=now, fresh=MINUTE, signal=INGESTION_RATE)

    assert usual.filter(tenant="t1").rows() == [("t1", 20.0, 3)]
    assert "new" not in usual["tenant"]
    assert newest.select("tenant", "at", "value").rows() == [("new", now, 5.0), ("t1", now, 500.0)]


def test_the_baseline_counts_what_was_rolled_up_already(database: Database, now: datetime) -> None:
    earlier = now - timedelta(hours=2)
    append_samples(database, samples((earlier, "t1", INGESTION_RATE, 40.0, 1.0)))
    roll_up(database, now=now)
    append_samples(database, samples((now, "t1", INGESTION_RATE, 900.0, 1.0)))

    found = baseline(database, now=now, window=DAY, signal=INGESTION_RATE)

    assert found.rows() == [("t1", 40.0, 1)]
