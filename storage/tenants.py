"""Who the tenants are, when they were seen, and when they last asked for something."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import polars as pl

from policy.activity import ACTIVITY
from storage.database import Database, read_frame, write_frame

# To the minute is enough, and a look that changes nothing costs a third.
SEE_TENANTS: Final = """
    insert into tenants (tenant, first_seen, last_seen, last_demand)
    select incoming.tenant, seen_at, seen_at, case when asks then seen_at end
    from incoming
    cross join (select ?::timestamptz as seen_at)
    left join tenants as known on known.tenant = incoming.tenant
    where known.tenant is null
        or known.first_seen > seen_at
        or known.last_seen <= seen_at - interval '1 minute'
        or (asks and (known.last_demand is null
            or known.last_demand <= seen_at - interval '1 minute'))
    on conflict (tenant) do update set
        first_seen = least(first_seen, excluded.first_seen),
        last_seen = greatest(last_seen, excluded.last_seen),
        last_demand = coalesce(
            greatest(last_demand, excluded.last_demand), last_demand, excluded.last_demand
        )
"""
LOOKED: Final = """
    insert into looked_hours values (date_trunc('hour', ?::timestamptz)) on conflict do nothing
"""
ACTIVITY_OF_TENANTS: Final = """
    with hours as (
        select "at", row_number() over (order by "at") as number from looked_hours
    ),
    since as (
        select *, coalesce(last_demand, first_seen) as quiet_since from tenants
    )
    select
        since.* exclude (quiet_since),
        (select count(*) from hours) - coalesce(quiet.number, 0) as quiet_hours,
        (select count(*) from hours) - coalesce(absent.number, 0) as absent_hours
    from since
    asof left join hours as quiet on quiet."at" <= since.quiet_since
    asof left join hours as absent on absent."at" <= since.last_seen
    order by tenant
"""


def seen(
    database: Database,
    tenants: Sequence[str],
    *,
    at: datetime,
    asking: Sequence[str] = (),
    whole: bool = False,
) -> None:
    """Note who was on Mimir's pages at that time, to the minute.

    Args:
        database: the history.
        tenants: those that were.
        at: the time of the look, aware UTC.
        asking: those of them that asked for something.
        whole: every process answered, so that who asked for nothing is known to have done so.
    """
    if not tenants:
        return
    looked = pl.DataFrame({"tenant": tenants}, schema={"tenant": pl.String()}).unique()
    incoming = looked.with_columns(asks=pl.col("tenant").is_in(list(asking)))
    with database.transaction() as cursor:
        write_frame(cursor, SEE_TENANTS, incoming, at)
        if whole:
            cursor.execute(LOOKED, [at])


def activity(database: Database) -> pl.DataFrame:
    """When every tenant was seen and asked for something (ACTIVITY), sorted."""
    return read_frame(database, ACTIVITY_OF_TENANTS, schema=ACTIVITY)
