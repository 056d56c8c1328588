"""What is recommended to save, and how often the series of tenants are replaced."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from policy.cost.savings import CHURN, SAVINGS
from policy.frames import UTC_TIME
from policy.signals import ACTIVE_SERIES, SERIES_CREATED_RATE
from storage.client import query
from storage.database import Database, read_frame, write_frame

# SAVINGS as stored: the moment that they are of, and the currency.
STORED: Final = pl.Schema({"at": UTC_TIME, "currency": pl.String(), **SAVINGS})

DELETE_SAVINGS: Final = "delete from savings"
INSERT_SAVINGS: Final = """
    insert into savings by name
    select $at::timestamptz as "at", $currency as currency, * from incoming
"""
READ_SAVINGS: Final = """
    select * from savings order by exposure desc nulls last, kind, tenant, "limit"
"""
READ_CHURN: Final = f"""
    select
        tenant,
        avg(mean) filter (signal = '{SERIES_CREATED_RATE}') as created_per_second,
        avg(mean) filter (signal = '{ACTIVE_SERIES}') as active_series
    from peaks_hourly
    where "at" >= $since and signal in ('{SERIES_CREATED_RATE}', '{ACTIVE_SERIES}')
    group by tenant
    order by tenant
"""  # noqa: S608 - names of our own


def replace_savings(
    database: Database, found: pl.DataFrame, *, currency: str, at: datetime
) -> pl.DataFrame:
    """Put SAVINGS in the place of those before, which are returned (STORED)."""
    with database.transaction() as cursor:
        before = read_savings(database)
        cursor.execute(DELETE_SAVINGS)
        if not found.is_empty():
            rows = found.select(SAVINGS.names())
            write_frame(cursor, INSERT_SAVINGS, rows, at=at, currency=currency)
    return before


def read_savings(where: str | Database) -> pl.DataFrame:
    """STORED, those that cut most exposure first.

    Raises:
        StorageError: the history cannot be reached.
    """
    if isinstance(where, Database):
        return read_frame(where, READ_SAVINGS, schema=STORED)
    return query(where, READ_SAVINGS).select(STORED.names()).cast(STORED)


def churn(database: Database, *, since: datetime) -> pl.DataFrame:
    """CHURN since then."""
    return read_frame(database, READ_CHURN, {"since": since}, schema=CHURN)
