"""The operator's own limits, as read from Mimir beneath ours."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from policy.frames import LIMITS
from storage.database import Database, read_frame, write_frame

DELETE_OBSERVED: Final = "delete from limits_observed"
INSERT_OBSERVED: Final = """
    insert into limits_observed
    select tenant, "limit", value, ?::timestamptz from incoming
"""
OBSERVED_LIMITS: Final = """
    select tenant, limit_name as "limit", value from limits_observed order by tenant, limit_name
"""


def observe_limits(database: Database, frame: pl.DataFrame, *, at: datetime) -> None:
    """Replace what is known with `frame` (LIMITS); tenant '' is the default of the cluster.

    An empty frame says that nothing could be read, and changes nothing.
    """
    observed = frame.select(LIMITS.names()).drop_nulls("value")
    if observed.is_empty():
        return
    with database.transaction() as cursor:
        cursor.execute(DELETE_OBSERVED)
        write_frame(cursor, INSERT_OBSERVED, observed, at)


def observed_limits(database: Database) -> pl.DataFrame:
    """The limits observed last (LIMITS)."""
    return read_frame(database, OBSERVED_LIMITS, schema=LIMITS)
