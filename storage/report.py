"""What a report asks of the history beyond what `storage.reading` has: from any process."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.report import ASKED, COUNTED, DECIDED, KNOWN, TURNED, USAGE
from policy.signals import SAMPLES_ASKED
from storage.client import query
from storage.database import Database, read_frame
from storage.literals import literal

BUCKET: Final = timedelta(minutes=5)
_HOUR: Final = timedelta(hours=1)
# Points begin at whole multiples of their length since 1970, so that a later report has the same.
_POINT: Final = """
    make_timestamptz("at" // {step} * {step}) as "at"
"""
_USAGE: Final = """
    with asked(tenant, "limit", signal) as (values {pairs})
    select {point}, tenant, "limit", max(max) as peak
    from (
        select epoch_us("at") as "at", tenant, signal, max from {table}
        where "at" >= {since}::timestamptz and "at" < {until}::timestamptz
            and signal in ({signals}) and tenant in ({tenants})
    ) join asked using (tenant, signal)
    group by all
    order by tenant, "limit", "at"
"""
# The mean of the sums: an hour in which a tenant is missing has what the others asked for.
_ASKED: Final = """
    select {point}, avg(asked) as asked, max(tenants) as tenants
    from (
        select epoch_us("at") as "at", sum(mean) as asked, count(*) as tenants from {table}
        where "at" >= {since}::timestamptz and "at" < {until}::timestamptz and signal = {signal}
        group by all
    )
    group by all
    order by "at"
"""
_COUNTED: Final = """
    select
        tenant, "limit",
        count(*) filter (outcome = 'raise') as raises,
        count(*) filter (outcome = 'lower') as lowers
    from decisions
    where "at" >= {since}::timestamptz and outcome in ('raise', 'lower')
    group by tenant, "limit"
    order by tenant, "limit"
"""
_DECIDED: Final = """
    select "at", tenant, "limit", outcome, detail, before, after
    from decisions semi join (values {pairs}) as asked(tenant, "limit") using (tenant, "limit")
    where "at" >= {since}::timestamptz and outcome in ('raise', 'lower')
    order by "at", tenant, "limit"
"""
# What was in force when the window began is what was known last before it.
_KNOWN: Final = """
    with asked(tenant, "limit") as (values {pairs}),
    looked as (
        select "at", tenant, "limit", before as value
        from decisions semi join asked using (tenant, "limit")
        where before is not null
    ),
    each_change as (
        select "at", unnest(from_json(changes, '[{{
            "tenant": "VARCHAR", "limit": "VARCHAR", "after": "DOUBLE"
        }}]'), recursive := true)
        from revisions
        where outcome not in ('failed', 'reverted')
    ),
    known as (
        from looked
        union all by name
        select "at", tenant, "limit", after as value
        from each_change semi join asked using (tenant, "limit")
    )
    select greatest("at", {since}::timestamptz) as "at", tenant, "limit", value
    from known
    qualify "at" >= {since}::timestamptz
        or row_number() over (
            partition by tenant, "limit", "at" >= {since}::timestamptz order by "at" desc
        ) = 1
    order by tenant, "limit", known."at"
"""
_TURNED: Final = """
    select "at", tenant, before, after, kinds, because from breaker_turns
    where "at" >= {since}::timestamptz
    order by "at" desc, tenant
"""


def usage(
    where: str | Database,
    pairs: pl.DataFrame,
    *,
    since: datetime,
    until: datetime,
    step: timedelta,
) -> pl.DataFrame:
    """USAGE of each of the limits.

    Args:
        where: the history.
        pairs: tenant, limit, signal.
        since: aware UTC.
        until: aware UTC.
        step: how long a point is: whole hours, or whole buckets of 5 minutes.

    Raises:
        StorageError: the history cannot be reached.
    """
    if pairs.is_empty():
        return USAGE.to_frame()
    sql = _USAGE.format(
        pairs=_rows(pairs.select("tenant", "limit", "signal")),
        table=_table(step),
        point=_point(step),
        signals=_listed(pairs["signal"].unique().sort()),
        tenants=_listed(pairs["tenant"].unique().sort()),
        **_window(since, until),
    )
    return _asked(where, sql, schema=USAGE)


def asked_by_all(
    where: str | Database, *, since: datetime, until: datetime, step: timedelta
) -> pl.DataFrame:
    """ASKED of the window; see `usage`."""
    sql = _ASKED.format(
        table=_table(step),
        point=_point(step),
        signal=literal(SAMPLES_ASKED),
        **_window(since, until),
    )
    return _asked(where, sql, schema=ASKED)


def counted(where: str | Database, *, since: datetime) -> pl.DataFrame:
    """COUNTED since then; see `usage`."""
    return _asked(where, _COUNTED.format(since=_moment(since)), schema=COUNTED)


def decided(where: str | Database, pairs: pl.DataFrame, *, since: datetime) -> pl.DataFrame:
    """DECIDED since then on the limits (tenant, limit); see `usage`."""
    return _of_pairs(where, _DECIDED, pairs, since=since, schema=DECIDED)


def known_limits(where: str | Database, pairs: pl.DataFrame, *, since: datetime) -> pl.DataFrame:
    """KNOWN since then of the limits (tenant, limit), and the last before; see `usage`."""
    return _of_pairs(where, _KNOWN, pairs, since=since, schema=KNOWN)


def turned(where: str | Database, *, since: datetime) -> pl.DataFrame:
    """TURNED since then, the newest first; see `usage`."""
    return _asked(where, _TURNED.format(since=_moment(since)), schema=TURNED)


def _of_pairs(
    where: str | Database, sql: str, pairs: pl.DataFrame, *, since: datetime, schema: pl.Schema
) -> pl.DataFrame:
    if pairs.is_empty():
        return schema.to_frame()
    told = sql.format(pairs=_rows(pairs.select("tenant", "limit")), since=_moment(since))
    return _asked(where, told, schema=schema)


def _asked(where: str | Database, sql: str, *, schema: pl.Schema) -> pl.DataFrame:
    if isinstance(where, Database):
        return read_frame(where, sql, schema=schema)
    return query(where, sql).select(schema.names()).cast(schema)


def _table(step: timedelta) -> str:
    return "demand_5m" if step % _HOUR else "peaks_hourly"


def _point(step: timedelta) -> str:
    return _POINT.format(step=step // timedelta(microseconds=1))


def _window(since: datetime, until: datetime) -> dict[str, str]:
    return {"since": _moment(since), "until": _moment(until)}


def _moment(moment: datetime) -> str:
    return literal(moment.isoformat())


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(literal(each) for each in texts)


def _rows(pairs: pl.DataFrame) -> str:
    return ", ".join(f"({_listed(row)})" for row in pairs.iter_rows())
