"""What each tenant cost in each hour, by each method. Money is decimal."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from policy.frames import UTC_TIME
from storage.database import Database, read_frame, write_frame

COSTS: Final = pl.Schema(
    {
        "at": UTC_TIME,
        "tenant": pl.String(),
        "method": pl.String(),
        "amount": pl.Decimal(18, 6),
        "currency": pl.String(),
        "quantity": pl.Float64(),
        "price": pl.Decimal(18, 9),
        "run_id": pl.String(),
    }
)

DELETE_PRICED: Final = """
    delete from costs using incoming
    where costs."at" = incoming."at"
      and costs.tenant = incoming.tenant
      and costs.method = incoming.method
"""
INSERT_COSTS: Final = "insert into costs by name select * from incoming"
COSTS_BETWEEN: Final = """
    select * from costs where "at" >= ? and "at" < ? order by "at", tenant, method
"""


def replace_costs(database: Database, frame: pl.DataFrame) -> None:
    """Store costs (COSTS); an hour, tenant and method priced again is replaced.

    Raises:
        ValueError: the frame prices one hour, tenant and method twice.
    """
    priced = frame.select(COSTS.names())
    if priced.is_empty():
        return
    if priced.select("at", "tenant", "method").is_duplicated().any():
        raise ValueError("costs: an hour, tenant and method is priced twice in one frame")
    with database.transaction() as cursor:
        write_frame(cursor, DELETE_PRICED, priced)
        write_frame(cursor, INSERT_COSTS, priced)


def costs_between(database: Database, *, start: datetime, end: datetime) -> pl.DataFrame:
    """The costs of the hours that begin within [start, end) (COSTS)."""
    return read_frame(database, COSTS_BETWEEN, [start, end], schema=COSTS)
