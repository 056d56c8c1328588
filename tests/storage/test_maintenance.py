"""Rollups, imports, retention."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from policy.frames import CHANGES, COMPOSED, SAMPLES, empty
from storage.database import Database
from storage.errors import StorageError
from storage.maintenance import apply_retention, checkpoint, snapshot
from storage.revisions import Intent, begin_revision, finish_revision, newest_confirmed
from storage.rollups import ROLLUPS, import_rollups, roll_up
from storage.samples import append_samples

SUSTAINED = timedelta(minutes=35)

BUCKETS = 'select "at", max, mean, sum, count, coverage from rollups_5m order by "at", tenant'
HOURS = 'select "at", max, mean, sum, count from peaks_hourly order by "at", tenant'
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def add(database: Database, at: datetime, value: float, coverage: float = 1.0) -> None:
    row = (at, "t1", "ingestion_rate", value, coverage)
    append_samples(database, pl.DataFrame([row], schema=SAMPLES, orient="row"))


def rows(database: Database, statement: str) -> list[tuple[object, ...]]:
    return database.cursor().execute(statement).pl().rows()


def rollup(at: datetime, value: float) -> pl.DataFrame:
    row = (at, "t1", "ingestion_rate", value, value, value, 1, 1.0)
    return pl.DataFrame([row], schema=ROLLUPS, orient="row")


def test_a_complete_bucket_becomes_a_rollup_and_part_of_its_hour(
    database: Database, now: datetime
) -> None:
    add(database, now, 10.0)
    add(database, now + MINUTE, 30.0, coverage=0.5)
    add(database, now + 5 * MINUTE, 80.0)

    assert roll_up(database, now=now + 5 * MINUTE, sustained_for=SUSTAINED) == 1

    assert rows(database, BUCKETS) == [(now, 30.0, 20.0, 40.0, 2, 0.5)]
    assert rows(database, HOURS) == [(now, 30.0, 20.0, 40.0, 2)]


def test_rolling_up_twice_changes_nothing(database: Database, now: datetime) -> None:
    add(database, now, 10.0)
    roll_up(database, now=now + HOUR, sustained_for=SUSTAINED)
    before = rows(database, BUCKETS), rows(database, HOURS)

    assert roll_up(database, now=now + HOUR, sustained_for=SUSTAINED) == 0

    assert (rows(database, BUCKETS), rows(database, HOURS)) == before


def test_a_late_sample_redoes_its_bucket_and_its_hour(database: Database, now: datetime) -> None:
    add(database, now, 10.0)
    roll_up(database, now=now + HOUR, sustained_for=SUSTAINED)

    add(database, now + MINUTE, 50.0)
    roll_up(database, now=now + HOUR, sustained_for=SUSTAINED)

    assert rows(database, BUCKETS) == [(now, 50.0, 30.0, 60.0, 2, 1.0)]
    assert rows(database, HOURS) == [(now, 50.0, 30.0, 60.0, 2)]


def test_a_sample_later_than_the_samples_are_kept_spoils_no_rollup(
    database: Database, now: datetime
) -> None:
    """
    Its bucket cannot be computed again: the other samples of it are gone.
    """
    add(database, now, 10.0)
    apply_retention(database, now=now + timedelta(hours=50), sustained_for=SUSTAINED)
    rolled = rows(database, BUCKETS)

    add(database, now + MINUTE, 90.0)
    roll_up(database, now=now + timedelta(hours=50), sustained_for=SUSTAINED)

    assert rows(database, BUCKETS) == rolled == [(now, 10.0, 10.0, 10.0, 1, 1.0)]


def test_a_sample_that_comes_while_its_bucket_is_rolled_up_is_not_forgotten(
    database: Database, now: datetime
) -> None:
    add(database, now, 10.0)

    with database.transaction(), ThreadPoolExecutor(max_workers=1) as other_thread:
        roll_up(database, now=now + HOUR, sustained_for=SUSTAINED)
        other_thread.submit(add, database, now + MINUTE, 50.0).result()
    roll_up(database, now=now + HOUR, sustained_for=SUSTAINED)

    assert rows(database, BUCKETS) == [(now, 50.0, 30.0, 60.0, 2, 1.0)]


def test_samples_are_rolled_up_before_they_are_deleted(database: Database, now: datetime) -> None:
    add(database, now, 10.0)

    deleted = apply_retention(database, now=now + timedelta(days=3), sustained_for=SUSTAINED)

    assert deleted["samples"] == 1
    assert rows(database, BUCKETS) == [(now, 10.0, 10.0, 10.0, 1, 1.0)]


def test_retention_keeps_peaks_longer_than_rollups_than_samples(
    database: Database, now: datetime
) -> None:
    add(database, now, 10.0)

    after_a_month = apply_retention(database, now=now + timedelta(days=31), sustained_for=SUSTAINED)
    after_two_years = apply_retention(
        database, now=now + timedelta(days=730), sustained_for=SUSTAINED
    )

    assert (after_a_month["rollups_5m"], after_a_month["peaks_hourly"]) == (1, 0)
    assert after_two_years["peaks_hourly"] == 1


def test_retention_never_deletes_the_newest_confirmed_revision(
    database: Database, now: datetime
) -> None:
    for document in ("a: 1", "a: 2"):
        revision = begin_revision(
            database,
            Intent(
                run_id="r1",
                actor="mlo",
                sink="file",
                document=document,
                changes=empty(CHANGES),
                composed=empty(COMPOSED),
            ),
            at=now,
        )
        finish_revision(
            database, revision=revision, outcome="confirmed", detail="", evidence={}, at=now
        )

    deleted = apply_retention(database, now=now + timedelta(days=1_000), sustained_for=SUSTAINED)

    newest = newest_confirmed(database)
    assert deleted["revisions"] == 1
    assert newest
    assert newest.document == "a: 2"


def test_importing_again_replaces_what_was_imported(database: Database, now: datetime) -> None:
    import_rollups(database, rollup(now, 10.0), now=now + HOUR, sustained_for=SUSTAINED)
    import_rollups(database, rollup(now, 12.0), now=now + HOUR, sustained_for=SUSTAINED)

    assert rows(database, BUCKETS) == [(now, 12.0, 12.0, 12.0, 1, 1.0)]
    assert rows(database, HOURS) == [(now, 12.0, 12.0, 12.0, 1)]


def test_what_we_measured_wins_over_what_is_imported(database: Database, now: datetime) -> None:
    add(database, now, 10.0)
    roll_up(database, now=now + HOUR, sustained_for=SUSTAINED)

    import_rollups(database, rollup(now, 99.0), now=now + HOUR, sustained_for=SUSTAINED)
    import_rollups(
        database, rollup(now + 5 * MINUTE, 20.0), now=now + HOUR, sustained_for=SUSTAINED
    )

    assert rows(database, "select max from rollups_5m order by all") == [(10.0,), (20.0,)]
    assert rows(database, HOURS) == [(now, 20.0, 15.0, 30.0, 2)]


def test_a_measured_bucket_takes_the_place_of_an_imported_one(
    database: Database, now: datetime
) -> None:
    import_rollups(database, rollup(now, 99.0), now=now + HOUR, sustained_for=SUSTAINED)

    add(database, now, 10.0)
    roll_up(database, now=now + HOUR, sustained_for=SUSTAINED)

    assert rows(database, BUCKETS) == [(now, 10.0, 10.0, 10.0, 1, 1.0)]


def test_a_checkpoint_folds_the_log_into_the_file(
    owned: Database, path: Path, now: datetime
) -> None:
    add(owned, now, 10.0)
    log = path.with_name(f"{path.name}.wal")
    assert log.stat().st_size > 0

    checkpoint(owned)

    assert not log.exists() or log.stat().st_size == 0


def test_a_snapshot_that_failed_leaves_the_one_before_and_can_be_taken_again(
    owned: Database, tmp_path: Path
) -> None:
    target = snapshot(owned)

    with pytest.raises(StorageError, match="cannot be written"):
        snapshot(owned, target=tmp_path / "missing" / "x.duckdb")

    assert target.is_file()
    assert snapshot(owned) == target
    assert [entry.name for entry in tmp_path.glob("*.tmp*")] == []


def test_a_history_in_memory_has_no_place_for_a_snapshot(database: Database) -> None:
    with pytest.raises(StorageError, match="name a target"):
        snapshot(database)
