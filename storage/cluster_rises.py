"""What is usual of the sum over all tenants, and when it was out of the usual."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.cluster_rise import CLUSTER_USUAL, RISES
from storage.database import Database, read_frame, write_frame
from storage.usual import AROUND, DAY, RECENT, WEEKS

# One hour at a time: DuckDB skips all other blocks by a constant.
SUM_OF_HOUR: Final = """
    select signal, sum(mean) as total from peaks_hourly
    where "at" = $hour and list_contains($signals::varchar[], signal)
    group by signal
"""
# Without what was told as a rise, unless it became usual.
SUMS_OF_DAY: Final = """
    with buckets as (
        select signal, "at", sum(mean) as total from rollups_5m
        where "at" >= $since and list_contains($signals::varchar[], signal)
        group by all
    )
    select
        signal,
        max(total) filter (not exists (
            from cluster_rises
            where not grown and buckets."at" >= began_at - interval '5 minutes'
              and (over_at is null or buckets."at" < over_at)
        )) as peak,
        case when count(*) filter ("at" >= $recent) >= 12
            then median(total) filter ("at" >= $recent) end as recent
    from buckets
    group by signal
"""
RUNNING: Final = "select * from cluster_rises where over_at is null order by kind"
INSERT_RISES: Final = "insert into cluster_rises by name select * from incoming"
END_RISES: Final = """
    update cluster_rises set over_at = incoming.over_at, grown = incoming.grown from incoming
    where cluster_rises.kind = incoming.kind and cluster_rises.over_at is null
"""
_TOTALS: Final = pl.Schema({"signal": pl.String(), "total": pl.Float64()})
_DAY: Final = pl.Schema({"signal": pl.String(), "peak": pl.Float64(), "recent": pl.Float64()})


def cluster_usual(database: Database, *, now: datetime, signals: list[str]) -> pl.DataFrame:
    """CLUSTER_USUAL of these signals at this hour."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    hours = [
        hour - timedelta(weeks=week) + around
        for week in range(1, WEEKS + 1)
        for around in (-AROUND, timedelta(0), AROUND)
    ]
    past = pl.concat(
        read_frame(database, SUM_OF_HOUR, {"hour": each, "signals": signals}, schema=_TOTALS)
        for each in hours
    ).filter(pl.col("total") > 0)
    log = pl.col("total").log()
    weeks = past.group_by("signal").agg(
        mid=log.median(),
        spread=(log - log.median()).abs().median(),
        points=pl.len().cast(pl.Int64),
        highest=pl.col("total").max(),
    )
    told: dict[str, object] = {"signals": signals, "since": now - DAY, "recent": now - RECENT}
    day = read_frame(database, SUMS_OF_DAY, told, schema=_DAY)
    return (
        weeks.join(day, on="signal", how="full", coalesce=True)
        .with_columns(peak=pl.max_horizontal("peak", "highest"))
        .select(CLUSTER_USUAL.names())
        .cast(CLUSTER_USUAL)
        .sort("signal")
    )


def running_rises(database: Database) -> pl.DataFrame:
    """RISES that are not over, sorted by kind."""
    return read_frame(database, RUNNING, schema=RISES)


def record_rises(database: Database, *, begins: pl.DataFrame, over: pl.DataFrame) -> None:
    """Keep the RISES that begin, and the end of those that are over."""
    with database.transaction() as cursor:
        if not over.is_empty():
            write_frame(cursor, END_RISES, over)
        if not begins.is_empty():
            write_frame(cursor, INSERT_RISES, begins)
