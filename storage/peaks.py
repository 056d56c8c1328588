"""What every UTC day says of each tenant and limit.

A large history is read in batches of tenants: 70 days of 12 limits are 840 rows of a tenant, and
eight million rows of 10,000 tenants, which do not fit where a reader computes with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.frames import DAYS
from policy.signals import PRESSURE_ON
from storage.database import Database, read_frame

# 420,000 rows of 70 days and 12 limits: some 40 MB, and several times that to sort.
TENANTS_AT_ONCE: Final = 500

TENANTS_WITH_DAYS: Final = """
    select distinct tenant from peaks_daily where "at" >= $since and "at" <= $now order by tenant
"""
DAYS_OF_LIMITS: Final = """
    with asked as (
        select
            unnest($limits::varchar[]) as "limit",
            unnest($demands::varchar[]) as signal,
            unnest($pressures::varchar[]) as pressure
    ),
    wanted as (select unnest($tenants::varchar[]) as tenant),
    known as not materialized (
        select * from peaks_daily
        where "at" >= $since and "at" <= $now
            and ($everybody or tenant in (select tenant from wanted))
    ),
    pressed as (
        select tenant, "at", signal, max from known
        where signal in (select pressure from asked)
    )
    select
        demand.tenant,
        asked."limit",
        make_date((epoch_us(demand."at") // 86400000000)::integer) as day,
        demand.calm as peak,
        demand.sustained,
        demand.points,
        demand.hours,
        demand.coverage,
        pressed.max as pressure,
        demand.last_at
    from known as demand
    join asked on asked.signal = demand.signal
    left join pressed
        on pressed.tenant = demand.tenant
        and pressed."at" = demand."at"
        and pressed.signal = asked.pressure
    order by demand.tenant, asked."limit", demand."at"
"""


def tenant_batches(
    database: Database, *, now: datetime, window: timedelta, size: int = TENANTS_AT_ONCE
) -> list[list[str]]:
    """The tenants with peaks in the window of `days`, sorted, at most `size` of them at once."""
    moments: dict[str, object] = {"since": _first_day(now, window), "now": now}
    tenants = read_frame(database, TENANTS_WITH_DAYS, moments).get_column("tenant").to_list()
    return [tenants[start : start + size] for start in range(0, len(tenants), size)]


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
        DAYS, sorted by tenant, limit and day.
    """
    return read_frame(
        database,
        DAYS_OF_LIMITS,
        {
            "limits": list(limits),
            "demands": list(limits.values()),
            "pressures": [PRESSURE_ON.get(limit) for limit in limits],
            "tenants": list(tenants or ()),
            "everybody": tenants is None,
            "since": _first_day(now, window),
            "now": now,
        },
        schema=DAYS,
    )


def _first_day(now: datetime, window: timedelta) -> datetime:
    return (now - window).replace(hour=0, minute=0, second=0, microsecond=0)
