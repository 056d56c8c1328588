"""What tenants asked of the cluster: samples in, history out.

Answers come from the 5-minute rollups and from the samples that are not rolled up yet, as
if they were one table. What was not measured is absent or null, never zero.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.frames import SAMPLES
from policy.measures import MEASURES
from policy.signals import DISCARD_SIGNALS, SERIES, SERIES_FULLEST_SHARE
from storage.database import Database, read_frame, write_frame

BUCKET: Final = timedelta(minutes=5)
LEVELS: Final = sorted(
    {signal for measure in MEASURES if not measure.rate for signal in measure.told_as.values()}
    | {SERIES, SERIES_FULLEST_SHARE}
)

BASELINE: Final = pl.Schema({"tenant": pl.String(), "baseline": pl.Float64(), "points": pl.Int64()})
USAGE: Final = pl.Schema(
    {"tenant": pl.String(), "value_seconds": pl.Float64(), "covered_seconds": pl.Float64()}
)

# A level that is told already in its five minutes, nearly so and by as many pods, is not stored
# again. What was stored is asked of the table, so that it is right after a restart, too.
APPEND_SAMPLES: Final = """
    insert into samples by name
    with told as (
        select
            epoch_us("at") // 300000000 as bucket, tenant, signal,
            arg_max(value, "at") as value, arg_max(coverage, "at") as coverage
        from samples
        where "at" >= $since and "at" < $until and list_contains($levels::varchar[], signal)
        group by all
    )
    select incoming.* from incoming
    left join told on told.bucket = epoch_us(incoming."at") // 300000000
        and told.tenant = incoming.tenant and told.signal = incoming.signal
    where told.tenant is null
        or abs(incoming.value - told.value) > 0.01 * abs(told.value)
        or incoming.coverage is distinct from told.coverage
"""
# A bucket is marked by every append, also when it is marked already: a rollup that runs
# meanwhile deletes only the marks that it saw.
MARK_UNROLLED: Final = """
    insert into unrolled_buckets by name
    select "at" from (select unnest($buckets::timestamptz[]) as "at")
    where "at" >= coalesce(
        (select "at" from watermarks where name = 'samples_kept_since'), '-infinity'
    )
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
REFUSED_SINCE: Final = """
    select max("at") as "at", tenant, signal, max(value) as value, min(coverage) as coverage
    from samples
    where "at" >= $since and "at" <= $now and value > 0
        and list_contains($signals::varchar[], signal)
    group by tenant, signal
    order by tenant, signal
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

    Of a level one sample is stored in five minutes, and each that differs by more than 1 % from
    the one before it or has another coverage; of a rate every sample.

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
        write_frame(
            cursor,
            APPEND_SAMPLES,
            measured,
            since=min(buckets),
            until=max(buckets) + BUCKET,
            levels=LEVELS,
        )
        cursor.execute(MARK_UNROLLED, {"buckets": buckets})


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


def refused_since(database: Database, *, since: datetime, now: datetime) -> pl.DataFrame:
    """The most that was refused of each tenant since then (SAMPLES of policy.signals' discards).

    It comes from the samples themselves: what is not rolled up yet is in it.
    """
    moments: dict[str, object] = {"since": since, "now": now, "signals": list(DISCARD_SIGNALS)}
    return read_frame(database, REFUSED_SINCE, moments, schema=SAMPLES)


def baseline(database: Database, *, now: datetime, window: timedelta, signal: str) -> pl.DataFrame:
    """What is usual for each tenant (BASELINE).

    That is the median of the 5-minute means of the window, the running five minutes excluded;
    `points` is the number of those means.
    """
    moments: dict[str, object] = {"signal": signal, "since": now - window, "now": now}
    return read_frame(database, BASELINES, moments, schema=BASELINE)
