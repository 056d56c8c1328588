"""How each budget stood at the newest run of `cost`, and what was told of costs."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from policy.cost.budgets import STATUS
from policy.cost.forecast import FORECASTS
from policy.frames import UTC_TIME
from storage.client import query
from storage.database import Database, read_frame, write_frame

# STATUS and FORECASTS together, and the moment that they are of.
STANDING: Final = pl.Schema({"at": UTC_TIME, **STATUS, **FORECASTS})

DELETE_BUDGETS: Final = "delete from budgets"
INSERT_BUDGETS: Final = """
    insert into budgets by name select $at::timestamptz as "at", * from incoming
"""
READ_BUDGETS: Final = """
    select * from budgets order by "left" nulls last, scope, name, starts
"""


def replace_budgets(database: Database, standing: pl.DataFrame, *, at: datetime) -> None:
    """Put how budgets stand (STANDING but the moment) in the place of how they stood."""
    with database.transaction() as cursor:
        cursor.execute(DELETE_BUDGETS)
        if not standing.is_empty():
            rows = standing.select(STANDING.names()[1:])
            write_frame(cursor, INSERT_BUDGETS, rows, at=at)


def read_budgets(where: str | Database) -> pl.DataFrame:
    """STANDING of each budget; the one with the least left first.

    Raises:
        StorageError: the history cannot be reached.
    """
    if isinstance(where, Database):
        return read_frame(where, READ_BUDGETS, schema=STANDING)
    return query(where, READ_BUDGETS).select(STANDING.names()).cast(STANDING)
