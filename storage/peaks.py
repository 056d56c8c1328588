"""What every UTC day says of each tenant and limit.

A large history is read a few limits at a time: 70 days of 12 limits are eight million rows of
10,000 tenants, which do not fit where a reader computes with them, and the days of one signal lie
together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.frames import DAYS, empty
from policy.signals import PRESSURE_ON
from storage.database import Database, read_frame

# Some 70 MB of days, and a few times that to compute with.
ROWS_AT_ONCE: Final = 700_000
ONE_DAY: Final = timedelta(days=1)

NEWEST_DAY: Final = """
    select count(distinct tenant) from peaks_daily
    where "at" = (select max("at") from peaks_daily where "at" >= $since and "at" <= $now)
"""
DAYS_OF_LIMIT: Final = """
    with pressed as (
        select tenant, "at", max from peaks_daily
        where signal = $pressure and "at" >= $since and "at" <= $now
    )
    select
        tenant,
        $limit as "limit",
        make_date((epoch_us(demand."at") // 86400000000)::integer) as day,
        demand.calm as peak,
        demand.sustained,
        demand.points,
        demand.hours,
        demand.coverage,
        pressed.max as pressure,
        demand.last_at
    from (
        select * from peaks_daily
        where signal = $signal and "at" >= $since and "at" <= $now
            and ($everybody or list_contains($tenants::varchar[], tenant))
    ) as demand
    left join pressed using (tenant, "at")
    order by tenant, demand."at"
"""


def limit_batches(
    database: Database,
    *,
    now: datetime,
    window: timedelta,
    limits: Mapping[str, str],
    rows: int = ROWS_AT_ONCE,
) -> list[dict[str, str]]:
    """The limits in parts whose days come to about so many rows, one limit each at least."""
    moments: dict[str, object] = {"since": _first_day(now, window), "now": now}
    counted = database.cursor().execute(NEWEST_DAY, moments).fetchone() or (0,)
    of_limit = max(1, int(counted[0]) * (window // ONE_DAY + 1))
    size = max(1, rows // of_limit)
    names = list(limits)
    return [
        {name: limits[name] for name in names[start : start + size]}
        for start in range(0, len(names), size)
    ]


def days(
    database: Database,
    *,
    now: datetime,
    window: timedelta,
    limits: Mapping[str, str],
    tenants: Sequence[str] | None = None,
) -> pl.DataFrame:
    """The whole UTC days that the window touches, the running one as far as it is rolled up.

    Args:
        database: the history.
        now: aware UTC; later days are left out.
        window: how far back; the day that it begins in is told whole.
        limits: the signal that the demand on each limit is read from.
        tenants: only these; None for all.

    Returns:
        DAYS, sorted by limit, tenant and day.
    """
    parts = [
        read_frame(
            database,
            DAYS_OF_LIMIT,
            {
                "limit": limit,
                "signal": limits[limit],
                "pressure": PRESSURE_ON.get(limit, ""),
                "tenants": list(tenants or ()),
                "everybody": tenants is None,
                "since": _first_day(now, window),
                "now": now,
            },
            schema=DAYS,
        )
        for limit in sorted(limits)
    ]
    return pl.concat([empty(DAYS), *parts])


def _first_day(now: datetime, window: timedelta) -> datetime:
    return (now - window).replace(hour=0, minute=0, second=0, microsecond=0)
