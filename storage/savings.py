"""What is recommended to save, and how often the series of tenants are replaced."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.cost.advice import REACH, TWICE
from policy.cost.budgets import MONEY
from policy.cost.realised import COMPONENT_OF, FOLLOWED
from policy.cost.recommendation import SAVINGS
from policy.cost.savings import CHURN
from policy.frames import UTC_TIME
from policy.signals import (
    ACTIVE_SERIES,
    DISCARDED_DUPLICATES,
    QUERY_REACH,
    SAMPLES_RECEIVED,
    SERIES_CREATED_RATE,
)
from storage.client import query
from storage.database import Database, read_frame, write_frame

# SAVINGS as stored: the moment that they are of, and the currency.
STORED: Final = pl.Schema({"at": UTC_TIME, "currency": pl.String(), **SAVINGS})

# FOLLOWED as stored: since when, and what it saved; null until a week of it is priced.
REALISED: Final = pl.Schema(
    {"since": UTC_TIME, "currency": pl.String(), **FOLLOWED, "spend": MONEY}
)
LEAST_HOURS: Final = 160
"""Of a week, to be compared with another."""

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

READ_TWICE: Final = f"""
    select
        tenant,
        avg(mean) filter (signal = '{DISCARDED_DUPLICATES}') as refused,
        avg(mean) filter (signal = '{SAMPLES_RECEIVED}') as received
    from peaks_hourly
    where "at" >= $since and signal in ('{DISCARDED_DUPLICATES}', '{SAMPLES_RECEIVED}')
    group by tenant
    order by tenant
"""  # noqa: S608 - names of our own
READ_REACH: Final = f"""
    select
        reaches.tenant, days, reach,
        (
            select sum(storage_amount) from costs
            where costs.tenant = reaches.tenant and costs."at" >= $month
        ) as stored
    from (
        select tenant, count(distinct "at") as days, max(max) as reach
        from peaks_daily
        where signal = '{QUERY_REACH}' and "at" >= $since
        group by tenant
    ) as reaches
    order by tenant
"""  # noqa: S608 - names of our own
INSERT_FOLLOWED: Final = """
    insert into savings_followed by name
    select $at::timestamptz as since, $currency as currency, * from incoming
"""
READ_FOLLOWED: Final = """
    select * from savings_followed order by since desc, exposure desc nulls last, kind, tenant
"""
# The hour in which it was followed belongs to neither week.
REALISE: Final = """
    update savings_followed set spend = priced.spend
    from (
        select
            followed.rowid as followed,
            (sum({amount}) filter (costs."at" < since) - sum({amount}) filter (costs."at" > since))
                * 30.4375 / 7 as spend
        from savings_followed as followed join costs
          on costs.tenant = followed.tenant and costs.currency = followed.currency
         and costs."at" >= since - interval 7 day and costs."at" <= since + interval 7 day
        where followed.kind = $kind and followed.spend is null and since <= $now - interval 7 day
        group by followed.rowid
        having count({amount}) filter (costs."at" < since) >= $hours
           and count({amount}) filter (costs."at" > since) >= $hours
    ) as priced
    where savings_followed.rowid = priced.followed
"""


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


def sent_twice(database: Database, *, since: datetime) -> pl.DataFrame:
    """TWICE since then."""
    return read_frame(database, READ_TWICE, {"since": since}, schema=TWICE)


def reach_of_queries(database: Database, *, since: datetime, now: datetime) -> pl.DataFrame:
    """REACH of the days since then; queries are known where their log was recorded."""
    asked: dict[str, object] = {"since": since, "month": now - timedelta(days=30)}
    return read_frame(database, READ_REACH, asked, schema=REACH)


def note_followed(
    database: Database, followed: pl.DataFrame, *, currency: str, at: datetime
) -> None:
    """Keep what was followed (FOLLOWED); a limit that never bound saves nothing by being lower."""
    if followed.is_empty():
        return
    spend = pl.when(~pl.col("kind").is_in(list(COMPONENT_OF))).then(pl.lit(0)).cast(MONEY)
    with database.transaction() as cursor:
        write_frame(
            cursor, INSERT_FOLLOWED, followed.with_columns(spend=spend), at=at, currency=currency
        )


def realise(database: Database, *, now: datetime) -> None:
    """Say what was saved by what was followed a week ago: a week since against the week before."""
    with database.transaction() as cursor:
        for kind, component in COMPONENT_OF.items():
            statement = REALISE.format(amount=f"costs.{component}_amount")
            cursor.execute(statement, {"kind": kind, "now": now, "hours": LEAST_HOURS})


def read_realised(where: str | Database) -> pl.DataFrame:
    """REALISED, the newest first.

    Raises:
        StorageError: the history cannot be reached.
    """
    if isinstance(where, Database):
        return read_frame(where, READ_FOLLOWED, schema=REALISED)
    return query(where, READ_FOLLOWED).select(REALISED.names()).cast(REALISED)
