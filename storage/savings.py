"""What is recommended to save, and how often the series of tenants are replaced."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.cost.advice import REACH, TWICE
from policy.cost.realised import COMPARED_DAYS, DAYS_OF_USAGE, FOLLOWED, STOOD
from policy.cost.recommendation import KEYS
from policy.cost.savings import CHURN
from policy.cost.tiering import PEAKS
from policy.frames import UTC_TIME
from policy.signals import (
    ACTIVE_SERIES,
    DEDUPLICATED,
    DISCARDED_DUPLICATES,
    PRESSURE_ON,
    QUERY_REACH,
    SAMPLES_RECEIVED,
    SERIES_CREATED_RATE,
)
from storage.client import query
from storage.database import Database, read_frame, write_frame

# STOOD as stored: the moment that they are of, and the currency; FOLLOWED with the currency.
STORED: Final = pl.Schema({"at": UTC_TIME, "currency": pl.String(), **STOOD})
REALISED: Final = pl.Schema({"currency": pl.String(), **FOLLOWED})

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

# Hours in which none was refused have no row, so all are weighed by what was measured of samples.
READ_TWICE: Final = f"""
    select
        tenant, coalesce(refused, 0) / measured as refused, received / measured as received,
        coalesce(dropped, 0) / measured as dropped
    from (
        select
            tenant,
            sum(mean * buckets) filter (signal = '{DISCARDED_DUPLICATES}') as refused,
            sum(mean * buckets) filter (signal = '{SAMPLES_RECEIVED}') as received,
            sum(mean * buckets) filter (signal = '{DEDUPLICATED}') as dropped,
            sum(buckets) filter (signal = '{SAMPLES_RECEIVED}') as measured
        from (select *, coalesce(points, 12) as buckets from peaks_hourly)
        where "at" >= $since
            and signal in ('{DISCARDED_DUPLICATES}', '{SAMPLES_RECEIVED}', '{DEDUPLICATED}')
        group by tenant
    )
    where measured > 0
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
    insert into savings_followed by name select $currency as currency, * from incoming
"""
READ_FOLLOWED: Final = """
    select * from savings_followed where over_at is null
    order by since desc, exposure desc nulls last, kind, tenant, "limit"
"""
_THOSE: Final = """
    from incoming
    where over_at is null and savings_followed.kind = incoming.kind
      and savings_followed.tenant = incoming.tenant
      and savings_followed."limit" is not distinct from incoming."limit"
"""
END_FOLLOWED: Final = f"update savings_followed set over_at = $at {_THOSE}"  # noqa: S608 - ours
SET_SPEND: Final = f"update savings_followed set spend = incoming.spend {_THOSE}"  # noqa: S608 - ours
# Days of 24 hours around the hour that it was followed in.
READ_DAYS: Final = f"""
    with moments as (
        select distinct tenant, since, date_trunc('hour', since) as hour
        from savings_followed
        where over_at is null and spend is null
            and since between $now::timestamptz - interval {2 * COMPARED_DAYS} day
                and $now::timestamptz - interval {COMPARED_DAYS} day
    )
    select
        tenant, since,
        floor(date_diff('hour', hour, costs."at") / 24)::bigint as day,
        count(*) as hours,
        sum(samples) / sum(covered_seconds) filter (samples is not null) as samples_per_second,
        sum(series_hours) * 3600 / sum(covered_seconds) filter (series_hours is not null)
            as active_series
    from moments join costs using (tenant)
    where costs."at" >= hour - interval {COMPARED_DAYS} day
      and costs."at" < hour + interval {COMPARED_DAYS} day
    group by tenant, since, day
    order by tenant, since, day
"""  # noqa: S608 - numbers of our own
READ_PEAKS: Final = """
    select tenant, signal, max(calm) as peak, count(*) as days, max(max) > 0 as any
    from peaks_daily
    where "at" >= $since and list_contains($signals::varchar[], signal)
    group by tenant, signal
    order by tenant, signal
"""


def replace_savings(
    database: Database, found: pl.DataFrame, *, currency: str, at: datetime
) -> pl.DataFrame:
    """Put SAVINGS in the place of those before, which are returned (STORED).

    What stood before keeps since when it stands, and its value of then.
    """
    with database.transaction() as cursor:
        before = read_savings(database)
        cursor.execute(DELETE_SAVINGS)
        if not found.is_empty():
            began = before.select(*KEYS, "since", "first_value")
            rows = (
                found.join(began, on=KEYS, how="left", nulls_equal=True)
                .with_columns(
                    pl.col("since").fill_null(pl.lit(at, dtype=UTC_TIME)),
                    pl.coalesce("first_value", "value").alias("first_value"),
                )
                .select(STOOD.names())
            )
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


def note_followed(database: Database, found: pl.DataFrame, *, currency: str) -> None:
    """Keep what was followed (FOLLOWED)."""
    if not found.is_empty():
        with database.transaction() as cursor:
            write_frame(cursor, INSERT_FOLLOWED, found, currency=currency)


def end_followed(database: Database, keys: pl.DataFrame, *, at: datetime) -> None:
    """What was followed, by these KEYS, holds no more."""
    if not keys.is_empty():
        with database.transaction() as cursor:
            write_frame(cursor, END_FOLLOWED, keys, at=at)


def set_spend(database: Database, spend: pl.DataFrame) -> None:
    """Note what was spent less, by KEYS."""
    if not spend.is_empty():
        with database.transaction() as cursor:
            write_frame(cursor, SET_SPEND, spend)


def days_of_followed(database: Database, *, now: datetime) -> pl.DataFrame:
    """DAYS_OF_USAGE around what was followed one to two weeks ago, and is not told yet."""
    return read_frame(database, READ_DAYS, {"now": now}, schema=DAYS_OF_USAGE)


def read_realised(where: str | Database) -> pl.DataFrame:
    """What was followed and holds (REALISED), the newest first.

    Raises:
        StorageError: the history cannot be reached.
    """
    if isinstance(where, Database):
        return read_frame(where, READ_FOLLOWED, schema=REALISED)
    return query(where, READ_FOLLOWED).select(REALISED.names()).cast(REALISED)


def peaks(database: Database, *, since: datetime, limits: Mapping[str, str]) -> pl.DataFrame:
    """PEAKS since then.

    Args:
        database: the history.
        since: aware UTC.
        limits: the signal that the demand on each limit is read from.
    """
    pressures = {limit: PRESSURE_ON[limit] for limit in limits if limit in PRESSURE_ON}
    asked = sorted({*limits.values(), *pressures.values()})
    told = read_frame(database, READ_PEAKS, {"since": since, "signals": asked})
    names = pl.DataFrame(
        [(limit, signal, pressures.get(limit)) for limit, signal in limits.items()],
        schema={"limit": pl.String(), "signal": pl.String(), "pressure": pl.String()},
        orient="row",
    )
    return (
        names.join(told.drop("any"), on="signal")
        .join(
            told.select("tenant", pressure="signal", refused="any"),
            on=["tenant", "pressure"],
            how="left",
        )
        .with_columns(pl.col("refused").fill_null(value=False))
        .select(PEAKS.names())
        .cast(PEAKS)
        .sort("tenant", "limit")
    )
