"""What the processes of Mimir used of what they may, once a minute at most."""

from __future__ import annotations

from datetime import datetime
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


def append_resources(database: Database, found: pl.DataFrame, *, at: datetime) -> None:
    """Store what was found then (RESOURCES), unless there is some of the minute before it."""
    if found.is_empty():
        return
    with database.transaction() as cursor:
        write_frame(cursor, APPEND_RESOURCES, found.select(RESOURCES.names()), at=at)
