"""Roll samples up into 5-minute buckets and hours, or import such buckets.

Running twice changes nothing. A sample that comes late redoes its bucket and its hour; a
bucket whose samples have been deleted is never computed again. What was measured wins
over what is imported.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import duckdb
import polars as pl

from policy.frames import UTC_TIME
from storage.database import Database, write_frame

ROLLUPS: Final = pl.Schema(
    {
        "at": UTC_TIME,
        "tenant": pl.String(),
        "signal": pl.String(),
        "max": pl.Float64(),
        "mean": pl.Float64(),
        "sum": pl.Float64(),
        "count": pl.Int64(),
        "coverage": pl.Float64(),
    }
)

COMPLETE_BUCKETS: Final = """
    create or replace temp table complete as
    select distinct "at" from unrolled_buckets where "at" + interval '5 minutes' <= ?
"""
FRESH_ROLLUPS: Final = """
    create or replace temp table fresh as
    select
        time_bucket(interval '5 minutes', samples."at") as "at",
        tenant,
        signal,
        max(value) as max,
        avg(value) as mean,
        sum(value) as sum,
        count(*) as count,
        min(coverage) as coverage,
        'measured' as origin
    from samples
    where samples."at" >= (select min("at") from complete)
      and time_bucket(interval '5 minutes', samples."at") in (select "at" from complete)
    group by 1, 2, 3
"""
FORGET_COMPLETE: Final = """
    delete from unrolled_buckets where "at" in (select "at" from complete)
"""
IMPORTED_ROLLUPS: Final = """
    create or replace temp table fresh as
    select "at", tenant, signal, max, mean, sum, count, coverage, 'imported' as origin
    from incoming
    anti join (select "at", tenant, signal from rollups_5m where origin = 'measured')
        using ("at", tenant, signal)
"""
REMOVE_OLD_ROLLUPS: Final = """
    delete from rollups_5m using fresh
    where rollups_5m."at" = fresh."at"
      and rollups_5m.tenant = fresh.tenant
      and rollups_5m.signal = fresh.signal
"""
INSERT_ROLLUPS: Final = "insert into rollups_5m by name select * from fresh"
FRESH_PEAKS: Final = """
    create or replace temp table fresh_peaks as
    select
        time_bucket(interval '1 hour', rollups_5m."at") as "at",
        tenant,
        signal,
        max(max) as max,
        sum(sum) / sum(count) as mean,
        sum(sum) as sum,
        sum(count)::bigint as count
    from rollups_5m
    where rollups_5m."at" >= (select time_bucket(interval '1 hour', min("at")) from fresh)
      and time_bucket(interval '1 hour', rollups_5m."at")
          in (select time_bucket(interval '1 hour', "at") from fresh)
    group by 1, 2, 3
"""
REMOVE_OLD_PEAKS: Final = """
    delete from peaks_hourly using fresh_peaks
    where peaks_hourly."at" = fresh_peaks."at"
      and peaks_hourly.tenant = fresh_peaks.tenant
      and peaks_hourly.signal = fresh_peaks.signal
"""
INSERT_PEAKS: Final = "insert into peaks_hourly by name select * from fresh_peaks"
DROP_TEMPORARY: Final = """
    drop table if exists complete; drop table if exists fresh; drop table if exists fresh_peaks
"""


def roll_up(database: Database, *, now: datetime) -> int:
    """Roll up the complete buckets with new samples; return how many buckets those were."""
    with database.transaction() as cursor:
        cursor.execute(COMPLETE_BUCKETS, [now])
        counted = cursor.execute("select count(*) from complete").fetchone()
        buckets = int(counted[0]) if counted else 0
        if buckets:
            cursor.execute(FRESH_ROLLUPS)
            _replace_with_fresh(cursor)
            cursor.execute(FORGET_COMPLETE)
        cursor.execute(DROP_TEMPORARY)
    return buckets


def import_rollups(database: Database, frame: pl.DataFrame) -> None:
    """Store 5-minute buckets from elsewhere (ROLLUPS); importing them again replaces them.

    `at` is the start of the bucket. Import whole hours: a peak is computed from the buckets
    of its hour that are here. Buckets that we measured ourselves stay as they are.
    """
    if frame.is_empty():
        return
    with database.transaction() as cursor:
        write_frame(cursor, IMPORTED_ROLLUPS, frame.select(ROLLUPS.names()))
        _replace_with_fresh(cursor)
        cursor.execute(DROP_TEMPORARY)


def _replace_with_fresh(cursor: duckdb.DuckDBPyConnection) -> None:
    cursor.execute(REMOVE_OLD_ROLLUPS)
    cursor.execute(INSERT_ROLLUPS)
    cursor.execute(FRESH_PEAKS)
    cursor.execute(REMOVE_OLD_PEAKS)
    cursor.execute(INSERT_PEAKS)
