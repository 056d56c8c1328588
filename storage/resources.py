"""What the processes of Mimir used of what they may, once a minute at most; and who they were."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.resources import RESOURCES
from storage.database import Database, write_frame

APPEND_RESOURCES: Final = """
    insert into resources by name
    select $at::timestamptz as "at", incoming.* from incoming
    where not exists (
        select 1 from resources
        where "at" > $at::timestamptz - interval '1 minute' and "at" <= $at
    )
"""
# The most that were known in each hour before now: a pod that restarts is out of discovery for
# minutes, and that changes nobody's share of a limit.
INGESTERS_CHANGED: Final = """
    with looks as (
        select "at", count(*) as ingesters from resources
        where resource = 'up' and component in ('ingester', 'all')
            and "at" > $since and "at" <= $now
        group by "at"
    ),
    hours as (
        select min("at") as "at", max(ingesters) as ingesters from looks
        group by (epoch_us($now::timestamptz) - epoch_us("at")) // 3600000000
    ),
    turns as (
        select "at", ingesters, lag(ingesters) over (order by "at") as before from hours
    )
    select max("at") from turns where ingesters != before
"""
ONE_HOUR: Final = timedelta(hours=1)


def append_resources(database: Database, found: pl.DataFrame, *, at: datetime) -> None:
    """Store what was found then (RESOURCES), unless there is some of the minute before it."""
    if found.is_empty():
        return
    with database.transaction() as cursor:
        write_frame(cursor, APPEND_RESOURCES, found.select(RESOURCES.names()), at=at)


def ingesters_changed_at(
    database: Database, *, now: datetime, within: timedelta
) -> datetime | None:
    """When the number of ingesters last changed, to the hour; None when it did not, or nobody saw.

    Args:
        database: the history.
        now: aware UTC.
        within: how far back to look, 47 hours at most: older looks are not kept.
    """
    moments = {"since": now - within - ONE_HOUR, "now": now}
    found = database.cursor().execute(INGESTERS_CHANGED, moments).fetchone()
    changed: datetime | None = found[0] if found else None
    return changed
