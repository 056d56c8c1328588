"""The past that a backtest replays, read from any process, and what came of one.

Reading goes through `Ask`, which takes a whole statement without parameters: the owner of the
history answers it itself, any other process through `storage.client.query`. Names that are put
into a statement are put there as JSON in one quoted literal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from policy.backtest_known import HOURS
from policy.effective import beneath, overlaid
from policy.frames import LAYERS, LIMITS, UTC_TIME
from storage.database import Database
from storage.limits import OBSERVED_LIMITS

Ask = Callable[[str], pl.DataFrame]

SPAN_OF_PEAKS: Final = 'select min("at") as first, max("at") as last from peaks_hourly'
TENANTS_WITH_PEAKS: Final = """
    select distinct tenant from peaks_hourly
    where "at" >= make_timestamptz({since}) and "at" < make_timestamptz({until})
    order by tenant
"""
HOURS_OF_TENANTS: Final = """
    with asked as (
        select unnest(from_json({limits}, '["VARCHAR"]')) as "limit",
            unnest(from_json({signals}, '["VARCHAR"]')) as signal
    )
    select
        peaks_hourly.tenant,
        asked."limit",
        peaks_hourly."at",
        peaks_hourly.calm as peak,
        peaks_hourly.max as highest,
        peaks_hourly.sustained,
        peaks_hourly.mean,
        coalesce(peaks_hourly.points, 12) as points
    from peaks_hourly join asked using (signal)
    where peaks_hourly."at" >= make_timestamptz({since})
        and peaks_hourly."at" < make_timestamptz({until})
        and peaks_hourly.tenant in (select unnest(from_json({tenants}, '["VARCHAR"]')))
"""
LAYERS_BENEATH_CAPS: Final = """
    select * exclude (run_id) from layers where layer in ('tier', 'optimized')
"""
# What a limit was at a moment: what the last change before it made of it, else what the first
# change after it found.
MOVED_LIMITS: Final = """
    select
        tenant,
        "limit",
        coalesce(
            arg_max(after, "at") filter ("at" <= make_timestamptz({at})),
            arg_min(before, "at") filter ("at" > make_timestamptz({at}))
        ) as value
    from moves
    group by tenant, "limit"
"""
NEXT_BACKTEST: Final = "select coalesce(max(id), 0) + 1 from backtests"
INSERT_BACKTEST: Final = """
    insert into backtests (id, "at", since, until, policy, passed, result, run_id)
    values (?, ?, ?, ?, ?, ?, ?, ?)
"""
NEWEST_BACKTEST: Final = """
    select id, "at", since, until, policy, passed, result from backtests
    where $policy is null or policy = $policy
    order by id desc limit 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBacktest:
    """One backtest as it was stored.

    Attributes:
        number: its id.
        at: when it was made, aware UTC.
        since: the begin of what was judged.
        until: the end of it.
        policy: the digest of the settings that were judged.
        passed: whether nothing stood against them.
        result: JSON.
    """

    number: int
    at: datetime
    since: datetime
    until: datetime
    policy: str
    passed: bool
    result: str


def span(ask: Ask) -> tuple[datetime, datetime] | None:
    """The first hour with peaks and the end of the last one; None when there is none."""
    first, last = ask(SPAN_OF_PEAKS).cast(UTC_TIME).row(0)
    return None if first is None else (first, last + timedelta(hours=1))


def tenants(ask: Ask, *, since: datetime, until: datetime) -> pl.Series:
    """The tenants with peaks in that time, sorted."""
    sql = TENANTS_WITH_PEAKS.format(since=_micros(since), until=_micros(until))
    return ask(sql)["tenant"].cast(pl.String)


def hours(
    ask: Ask,
    *,
    limits: Mapping[str, str],
    tenants: Collection[str],
    since: datetime,
    until: datetime,
) -> pl.DataFrame:
    """What these tenants asked for, hour by hour (HOURS), unsorted.

    Args:
        ask: answers a statement.
        limits: the signal that the demand on each limit is read from.
        tenants: whose.
        since: the first hour.
        until: the hour after the last.
    """
    sql = HOURS_OF_TENANTS.format(
        limits=_list(limits),
        signals=_list(limits.values()),
        tenants=_list(tenants),
        since=_micros(since),
        until=_micros(until),
    )
    return ask(sql).select(HOURS.names()).cast(HOURS)


def limits_at(
    ask: Ask, *, tenants: pl.Series, limits: Collection[str], at: datetime
) -> pl.DataFrame:
    """LIMITS that these tenants had at a moment, as far as it is known, and else have now.

    Without the layers that only cap: those come and go by themselves.
    """
    names = sorted(limits)
    own = beneath(
        ask(OBSERVED_LIMITS).select(LIMITS.names()).cast(LIMITS), tenants=tenants, limits=names
    )
    layers = ask(LAYERS_BENEATH_CAPS).select(LAYERS.names()).cast(LAYERS)
    moved = ask(MOVED_LIMITS.format(at=_micros(at))).drop_nulls("value")
    ours = pl.col("tenant").is_in(tenants.implode()) & pl.col("limit").is_in(names)
    found = own
    for above in (layers.filter(layer="tier"), layers.filter(layer="optimized"), moved):
        found = overlaid(found, above=above.filter(ours).select(LIMITS.names()).cast(LIMITS))
    return found


def record_backtest(  # noqa: PLR0913 - it is a row
    database: Database,
    *,
    at: datetime,
    since: datetime,
    until: datetime,
    policy: str,
    passed: bool,
    result: Mapping[str, object],
    run_id: str | None = None,
) -> int:
    """Store what a backtest came to; its id."""
    with database.transaction() as cursor:
        (number,) = cursor.execute(NEXT_BACKTEST).fetchone() or (1,)
        told = json.dumps(result, allow_nan=False)
        cursor.execute(INSERT_BACKTEST, [number, at, since, until, policy, passed, told, run_id])
    return int(number)


def newest_backtest(database: Database, *, policy: str | None = None) -> StoredBacktest | None:
    """The newest backtest, of any policy or of the one with this digest; None without one."""
    row = database.cursor().execute(NEWEST_BACKTEST, {"policy": policy}).fetchone()
    if row is None:
        return None
    number, at, since, until, digest, passed, result = row
    return StoredBacktest(
        number=number,
        at=at.astimezone(UTC),
        since=since.astimezone(UTC),
        until=until.astimezone(UTC),
        policy=digest,
        passed=passed,
        result=result,
    )


def _list(names: Collection[str]) -> str:
    quoted = json.dumps(list(names)).replace("'", "''")
    return f"'{quoted}'"


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)
