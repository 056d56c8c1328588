"""Roll samples up into 5-minute buckets and hours, or import such buckets.

Running twice changes nothing. A sample that comes late redoes its bucket, its hour and its
day (`storage.peak_rollups`); a bucket whose samples have been deleted is never computed again.
What was measured wins over what is imported.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import duckdb
import polars as pl

from policy.frames import UTC_TIME
from storage.database import Database, write_frame
from storage.peak_rollups import renew_peaks

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
        make_timestamptz(epoch_us(samples."at") // 300000000 * 300000000) as "at",
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
      and make_timestamptz(epoch_us(samples."at") // 300000000 * 300000000)
          in (select "at" from complete)
    group by 1, 2, 3
    order by 1, 3, 2
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
DROP_COMPLETE: Final = "drop table complete"
DROP_FRESH: Final = "drop table fresh"


def roll_up(database: Database, *, now: datetime, sustained_for: timedelta) -> int:
    """Roll up the complete buckets with new samples; return how many buckets those were.

    Args:
        database: the history.
        now: buckets that end later are left for the next time.
        sustained_for: how long a level has to be held within an hour to be `sustained`; to the
            5 minutes, and an hour at most.
    """
    with database.transaction() as cursor:
        cursor.execute(COMPLETE_BUCKETS, [now])
        counted = cursor.execute("select count(*) from complete").fetchone()
        cursor.execute(FRESH_ROLLUPS)
        _replace_with_fresh(cursor, now=now, sustained_for=sustained_for)
        cursor.execute(FORGET_COMPLETE)
        cursor.execute(DROP_COMPLETE)
    return int(counted[0]) if counted else 0


def import_rollups(
    database: Database, frame: pl.DataFrame, *, now: datetime, sustained_for: timedelta
) -> None:
    """Store 5-minute buckets from elsewhere (ROLLUPS); importing them again replaces them.

    `at` is the start of the bucket. Import whole hours: a peak is computed from the buckets
    of its hour that are here. Buckets that we measured ourselves stay as they are.
    """
    if frame.is_empty():
        return
    with database.transaction() as cursor:
        write_frame(cursor, IMPORTED_ROLLUPS, frame.select(ROLLUPS.names()))
        _replace_with_fresh(cursor, now=now, sustained_for=sustained_for)


def _replace_with_fresh(
    cursor: duckdb.DuckDBPyConnection, *, now: datetime, sustained_for: timedelta
) -> None:
    """Put the buckets of the table `fresh` in, and make anew what is made of them."""
    cursor.execute(REMOVE_OLD_ROLLUPS)
    cursor.execute(INSERT_ROLLUPS)
    renew_peaks(cursor, now=now, sustained_for=sustained_for)
    cursor.execute(DROP_FRESH)
