"""What each tenant usually needs of each limit, by the hours of some weeks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from storage.database import Database, read_frame

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
