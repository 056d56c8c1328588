"""How each budget stood at the newest run of `cost`, and what was told of costs."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from policy.cost.alerts import ALERTS
from policy.cost.forecast import FORECASTS
from policy.cost.standing import STATUS
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
OPEN_ALERTS: Final = "select * from cost_alerts where over_at is null"
INSERT_ALERTS: Final = "insert into cost_alerts by name select * from incoming"
CLOSE_ALERTS: Final = """
    update cost_alerts set over_at = incoming.over_at from incoming
    where cost_alerts.over_at is null
      and cost_alerts.kind = incoming.kind and cost_alerts.scope = incoming.scope
      and cost_alerts.name = incoming.name and cost_alerts.unit = incoming.unit
      and cost_alerts.starts is not distinct from incoming.starts
      and cost_alerts.threshold = incoming.threshold
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


def open_alerts(database: Database) -> pl.DataFrame:
    """ALERTS that are not over."""
    return read_frame(database, OPEN_ALERTS, schema=ALERTS)


def record_alerts(database: Database, *, began: pl.DataFrame, over: pl.DataFrame) -> None:
    """Store what began (ALERTS), and of what is over (ALERTS) when."""
    with database.transaction() as cursor:
        if not over.is_empty():
            write_frame(cursor, CLOSE_ALERTS, over.select(ALERTS.names()))
        if not began.is_empty():
            write_frame(cursor, INSERT_ALERTS, began.select(ALERTS.names()))
