"""What is usual in each hour of the week: kept up by the roll-up, read by tenant and limit.

A level is the decayed 95th percentile of that hour's calm peaks in the last ten weeks: the
smallest peak at which the weights of all peaks up to it reach 95 % of their sum. Only the cells
of hours that are over are made anew, each as a whole. Discards have no season.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import duckdb
import polars as pl

from policy.frames import SEASONS
from policy.signals import BLASTING, DISCARD_SIGNALS
from storage.database import Database, read_frame

WEEKS: Final = 10

# Of each cell the ten hours up to the newest that is over; 1970-01-01 00:00 UTC was a Thursday.
FRESH_CELLS: Final = """
    create or replace temp table fresh_cells as
    with latest as (
        select distinct "at" + interval '7 days' * (
            (epoch_us($now::timestamptz) - 3600000000 - epoch_us("at")) // 604800000000
        ) as "at"
        from fresh_hours where "at" + interval '1 hour' <= $now
    )
    select
        "at" - interval '7 days' * age as "at",
        ((epoch_us("at") // 3600000000 + 72) % 168)::smallint as hour_of_week,
        pow(2, -7 * age / 14.0) as weight
    from latest cross join range($weeks) as ages(age)
"""
HOURS_OF_CELLS: Final = 'select distinct "at" from fresh_cells order by "at"'
NO_PEAKS: Final = """
    create or replace temp table peaks_of_cells (
        "at" timestamptz, tenant varchar, signal varchar, calm double
    )
"""
# One hour at a time: DuckDB skips all other blocks by a constant.
PEAKS_OF_HOUR: Final = """
    insert into peaks_of_cells
    select "at", tenant, signal, calm from peaks_hourly
    where "at" = $hour and calm is not null and not list_contains($seasonless::varchar[], signal)
"""
REMOVE_OLD_CELLS: Final = """
    delete from peaks_weekly where hour_of_week in (select hour_of_week from fresh_cells)
"""
INSERT_CELLS: Final = """
    insert into peaks_weekly by name
    with weighed as (
        select
            hour_of_week, tenant, signal, calm, "at",
            sum(weight) over (
                partition by hour_of_week, tenant, signal order by calm, weight
                rows unbounded preceding
            ) as reached,
            sum(weight) over (partition by hour_of_week, tenant, signal) as whole
        from peaks_of_cells join fresh_cells using ("at")
    )
    select
        hour_of_week, tenant, signal,
        min(calm) filter (reached >= 0.95 * whole) as level,
        count(*)::smallint as weeks,
        max("at") as "at"
    from weighed
    group by all
    order by hour_of_week, signal, tenant
"""
DROP_TEMPORARY: Final = "drop table fresh_cells; drop table peaks_of_cells"
SEASONS_OF_LIMITS: Final = """
    with asked as (
        select unnest($limits::varchar[]) as "limit", unnest($demands::varchar[]) as signal
    ),
    wanted as (select unnest($tenants::varchar[]) as tenant)
    select tenant, asked."limit", hour_of_week, level, weeks
    from peaks_weekly join asked using (signal)
    where $everybody or tenant in (select tenant from wanted)
    order by tenant, asked."limit", hour_of_week
"""

HIGHEST_HOURS: Final = """
    with asked as (
        select unnest($limits::varchar[]) as "limit", unnest($demands::varchar[]) as signal
    ),
    wanted as (select unnest($tenants::varchar[]) as tenant)
    select
        tenant,
        asked."limit",
        arg_max(hour_of_week, level) as hour_of_week,
        max(level) as level,
        arg_max(weeks, level) as weeks
    from peaks_weekly join asked using (signal)
    where weeks >= 2 and ($everybody or tenant in (select tenant from wanted))
    group by tenant, asked."limit", hour_of_week % $hours
    order by tenant, asked."limit"
"""


def renew_seasons(cursor: duckdb.DuckDBPyConnection, *, now: datetime) -> None:
    """Make the cells of the hours in the table `fresh_hours` that are over anew."""
    cursor.execute(FRESH_CELLS, {"now": now, "weeks": WEEKS})
    cursor.execute(NO_PEAKS)
    seasonless = [BLASTING, *DISCARD_SIGNALS]
    for (hour,) in cursor.execute(HOURS_OF_CELLS).fetchall():
        cursor.execute(PEAKS_OF_HOUR, {"hour": hour, "seasonless": seasonless})
    cursor.execute(REMOVE_OLD_CELLS)
    cursor.execute(INSERT_CELLS)
    cursor.execute(DROP_TEMPORARY)


def seasons(
    database: Database, *, limits: Mapping[str, str], tenants: Sequence[str] | None = None
) -> pl.DataFrame:
    """What is usual in each hour of the week (SEASONS), sorted.

    Args:
        database: the history.
        limits: the signal that the demand on each limit is read from.
        tenants: only these; None for all. 168 rows of each tenant and limit: read a large history
            in batches (`storage.peaks.limit_batches`).
    """
    return read_frame(
        database,
        SEASONS_OF_LIMITS,
        {
            "limits": list(limits),
            "demands": list(limits.values()),
            "tenants": list(tenants or ()),
            "everybody": tenants is None,
        },
        schema=SEASONS,
    )


def highest_hours(
    database: Database,
    *,
    limits: Mapping[str, str],
    tenants: Sequence[str] | None = None,
    by_day_hour: bool = False,
) -> pl.DataFrame:
    """Of SEASONS only the highest hours that were seen in two weeks at least.

    Args:
        database: the history.
        limits: the signal that the demand on each limit is read from.
        tenants: only these; None for all.
        by_day_hour: the highest of each hour of the day, rather than one of the whole week.
    """
    return read_frame(
        database,
        HIGHEST_HOURS,
        {
            "limits": list(limits),
            "demands": list(limits.values()),
            "tenants": list(tenants or ()),
            "everybody": tenants is None,
            "hours": 24 if by_day_hour else 1,
        },
        schema=SEASONS,
    )
