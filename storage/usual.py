"""What is usual for each tenant: at this hour of past weeks, of the last day, of the last hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.detection import USUAL
from storage.database import Database, read_frame

WEEKS: Final = 4
HOURS_AROUND: Final = (-1, 0, 1)
RECENT: Final = timedelta(hours=6)
DAY: Final = timedelta(days=1)

# One hour at a time: DuckDB skips all other blocks by a constant.
OF_HOUR: Final = """
    select tenant, signal, mean, coalesce(calm, 0.0) as calm from peaks_hourly
    where "at" = $hour and mean > 0 and list_contains($signals::varchar[], signal)
"""
PEAKS_SINCE: Final = """
    select tenant, signal, max(calm) as peak from peaks_hourly
    where "at" >= $since and calm is not null and list_contains($signals::varchar[], signal)
    group by tenant, signal
"""
RECENT_MEDIANS: Final = """
    select tenant, signal, median(mean) as recent from demand_5m
    where list_contains($signals::varchar[], signal)
      and "at" >= $since and "at" < time_bucket(interval '5 minutes', $now::timestamptz)
    group by tenant, signal
"""
USUAL_NEEDS: Final = """
    with asked as (
        select unnest($limits::varchar[]) as "limit", unnest($demands::varchar[]) as signal
    ),
    wanted as (select unnest($tenants::varchar[]) as tenant)
    select tenant, "limit", median(mean) as need
    from peaks_hourly join asked using (signal)
    where "at" >= $since and "at" < $now and tenant in (select tenant from wanted)
    group by tenant, "limit"
    having count(mean) >= $least
    order by tenant, "limit"
"""
NEEDS: Final = pl.Schema({"tenant": pl.String(), "limit": pl.String(), "need": pl.Float64()})
LEAST_HOURS: Final = 24
_WEEKLY: Final = pl.Schema(
    {"tenant": pl.String(), "signal": pl.String(), "mean": pl.Float64(), "calm": pl.Float64()}
)


def weekly(database: Database, *, now: datetime, signals: list[str]) -> pl.DataFrame:
    """Columns tenant, signal, mid, spread, points, peak: of the same hours of the last weeks."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    hours = [
        hour - timedelta(weeks=week) + timedelta(hours=around)
        for week in range(1, WEEKS + 1)
        for around in HOURS_AROUND
    ]
    rows = pl.concat(
        read_frame(database, OF_HOUR, {"hour": each, "signals": signals}, schema=_WEEKLY)
        for each in hours
    )
    log = pl.col("mean").log()
    return rows.group_by("tenant", "signal").agg(
        mid=log.median(),
        spread=(log - log.median()).abs().median(),
        points=pl.len().cast(pl.Int64),
        peak=pl.col("calm").max(),
    )


def usual(
    database: Database, *, now: datetime, signals: list[str], weeks: pl.DataFrame
) -> pl.DataFrame:
    """USUAL at this time.

    Args:
        database: the history.
        now: aware UTC.
        signals: of which.
        weeks: what `weekly` gave within this hour.
    """
    told: dict[str, object] = {"signals": signals}
    peaks = read_frame(database, PEAKS_SINCE, told | {"since": now - DAY})
    recent = read_frame(database, RECENT_MEDIANS, told | {"since": now - RECENT, "now": now})
    keys = ["tenant", "signal"]
    return (
        recent.join(weeks, on=keys, how="full", coalesce=True)
        .join(peaks.rename({"peak": "day_peak"}), on=keys, how="left")
        .with_columns(peak=pl.max_horizontal("peak", "day_peak"))
        .select(USUAL.names())
        .cast(USUAL)
    )


def usual_needs(
    database: Database,
    *,
    limits: Mapping[str, str],
    tenants: Sequence[str],
    now: datetime,
    window: timedelta,
) -> pl.DataFrame:
    """NEEDS: the median of the hourly means of the demand on each limit; none below a day of hours.

    Args:
        database: the history.
        limits: the signal that the demand on each limit is read from.
        tenants: only these.
        now: aware UTC.
        window: how far it looks back.
    """
    told: dict[str, object] = {
        "limits": list(limits),
        "demands": list(limits.values()),
        "tenants": list(tenants),
        "since": now - window,
        "now": now,
        "least": LEAST_HOURS,
    }
    return read_frame(database, USUAL_NEEDS, told, schema=NEEDS)
