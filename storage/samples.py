"""What tenants asked of the cluster: samples in, history out.

Answers come from the 5-minute rollups and from the samples that are not rolled up yet, as
if they were one table. What was not measured is absent or null, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.frames import HISTORY, SAMPLES
from policy.signals import ACTIVE_SERIES, BLASTING, OWNED_SERIES, PRESSURE_ON, SERIES
from storage.database import Database, read_frame, write_frame

BASELINE: Final = pl.Schema({"tenant": pl.String(), "baseline": pl.Float64(), "points": pl.Int64()})
USAGE: Final = pl.Schema(
    {"tenant": pl.String(), "value_seconds": pl.Float64(), "covered_seconds": pl.Float64()}
)

# What stays in memory until the head is compacted, up to four hours after it was sent.
LINGERING: Final = (SERIES, ACTIVE_SERIES, OWNED_SERIES, "max_global_metadata_per_user")

APPEND_SAMPLES: Final = "insert into samples by name select * from incoming"
# A bucket is marked by every append, also when it is marked already: a rollup that runs
# meanwhile deletes only the marks that it saw.
MARK_UNROLLED: Final = """
    insert into unrolled_buckets by name
    select "at" from (select unnest($buckets::timestamptz[]) as "at")
    where "at" >= coalesce(
        (select "at" from watermarks where name = 'samples_kept_since'), '-infinity'
    )
"""
HISTORY_OF_LIMITS: Final = """
    with asked as (
        select
            unnest($limits::varchar[]) as "limit",
            unnest($demands::varchar[]) as signal,
            unnest($pressures::varchar[]) as pressure
    ),
    demand as (
        select tenant, signal, "at", max, coverage, last_at
        from demand_5m
        where "at" >= $since and "at" <= $now and list_contains($signals::varchar[], signal)
    ),
    -- What a blast asked for is no evidence of what is needed. Its series stay in memory until
    -- the head is compacted, up to four hours after the blast.
    blasts as (
        select tenant, "at" from demand_5m
        where signal = $blasting and "at" >= $since - interval 4 hours and "at" <= $now
    ),
    spoilt as (
        select distinct demand.tenant, demand.signal, demand."at"
        from demand join blasts on blasts.tenant = demand.tenant
            and demand."at" >= blasts."at"
            and demand."at" < blasts."at"
                + case when list_contains($lingers::varchar[], demand.signal)
                       then interval 4 hours else interval 5 minutes end
    ),
    pressed as (
        select tenant, signal, max(max) as pressure
        from demand
        where signal in (select pressure from asked)
        group by tenant, signal
    )
    select
        demand.tenant,
        asked."limit",
        max(demand.max) filter (spoilt."at" is null) as peak,
        arg_max(demand.max, demand."at") as recent,
        count(*) as points,
        (epoch(max(demand."at")) - epoch(min(demand."at"))) / 3600 as hours,
        max(demand.last_at) as last_at,
        avg(demand.coverage) as coverage,
        any_value(pressed.pressure) as pressure
    from demand
    join asked on asked.signal = demand.signal
    left join spoilt on spoilt.tenant = demand.tenant
        and spoilt.signal = demand.signal and spoilt."at" = demand."at"
    left join pressed on pressed.tenant = demand.tenant and pressed.signal = asked.pressure
    group by demand.tenant, asked."limit"
    order by demand.tenant, asked."limit"
"""
LATEST_SAMPLES: Final = """
    select
        max("at") as "at",
        tenant,
        signal,
        arg_max(value, "at") as value,
        arg_max(coverage, "at") as coverage
    from samples
    where "at" >= ?
    group by tenant, signal
    order by tenant, signal
"""
USAGE_BETWEEN: Final = """
    select
        tenant,
        sum(mean) * 300 as value_seconds,
        count(*) * 300.0 as covered_seconds
    from demand_5m
    where signal = ? and "at" >= ? and "at" < ?
    group by tenant
    order by tenant
"""
NEWEST_VALUES: Final = """
    select max("at") as "at", tenant, any_value(signal) as signal,
        arg_max(value, "at") as value, arg_max(coverage, "at") as coverage
    from samples
    where signal = $signal and "at" >= $fresh and "at" <= $now
    group by tenant
    order by tenant
"""
BASELINES: Final = """
    select tenant, median(mean) as baseline, count(*) as points
    from demand_5m
    where signal = $signal
      and "at" >= $since
      and "at" < time_bucket(interval '5 minutes', $now::timestamptz)
    group by tenant
    order by tenant
"""


def append_samples(database: Database, frame: pl.DataFrame) -> None:
    """Append samples (SAMPLES); those without a value were not measured and are left out.

    Raises:
        ValueError: a value is infinite or not a number; nothing is appended.
    """
    measured = frame.select(SAMPLES.names()).drop_nulls("value")
    broken = measured.filter(~pl.col("value").is_finite())
    if not broken.is_empty():
        raise ValueError(f"samples: the value of signal {broken['signal'][0]} is not finite")
    if measured.is_empty():
        return
    buckets = measured["at"].dt.truncate("5m").unique().to_list()
    with database.transaction() as cursor:
        write_frame(cursor, APPEND_SAMPLES, measured)
        cursor.execute(MARK_UNROLLED, {"buckets": buckets})


def history(
    database: Database, *, now: datetime, window: timedelta, limits: Mapping[str, str]
) -> pl.DataFrame:
    """What the window up to `now` says of each tenant and limit (HISTORY).

    `limits` names the signal that the demand on each limit is read from. The peak leaves out what
    was asked for in a blast (BLASTING), and of series the four hours after it. `last_at` is the
    newest sample while its bucket is not rolled up, the start of the newest bucket afterwards. A
    tenant without samples has no row.
    """
    pressures = [PRESSURE_ON.get(limit) for limit in limits]
    signals = {*limits.values(), *(signal for signal in pressures if signal)}
    return read_frame(
        database,
        HISTORY_OF_LIMITS,
        {
            "limits": list(limits),
            "demands": list(limits.values()),
            "pressures": pressures,
            "signals": sorted(signals),
            "blasting": BLASTING,
            "lingers": list(LINGERING),
            "since": now - window,
            "now": now,
        },
        schema=HISTORY,
    )


def latest(database: Database, *, since: datetime) -> pl.DataFrame:
    """The newest sample of each tenant and signal since then (SAMPLES)."""
    return read_frame(database, LATEST_SAMPLES, [since], schema=SAMPLES)


def usage_between(
    database: Database, *, signal: str, start: datetime, end: datetime
) -> pl.DataFrame:
    """Value times seconds of each tenant within [start, end) (USAGE).

    Both ends lie on a 5-minute boundary. A bucket with samples counts with its mean for its
    300 seconds; one without adds neither value nor covered seconds.
    """
    return read_frame(database, USAGE_BETWEEN, [signal, start, end], schema=USAGE)


def newest_values(
    database: Database, *, now: datetime, fresh: timedelta, signal: str
) -> pl.DataFrame:
    """Each tenant's newest sample of the signal that is as young as `fresh` (SAMPLES)."""
    moments: dict[str, object] = {"signal": signal, "fresh": now - fresh, "now": now}
    return read_frame(database, NEWEST_VALUES, moments, schema=SAMPLES)


def baseline(database: Database, *, now: datetime, window: timedelta, signal: str) -> pl.DataFrame:
    """What is usual for each tenant (BASELINE).

    That is the median of the 5-minute means of the window, the running five minutes excluded;
    `points` is the number of those means.
    """
    moments: dict[str, object] = {"signal": signal, "since": now - window, "now": now}
    return read_frame(database, BASELINES, moments, schema=BASELINE)
