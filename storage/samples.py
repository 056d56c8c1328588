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

TOLD: Final = pl.Schema(
    {
        "bucket": SAMPLES["at"],
        **{name: SAMPLES[name] for name in ("tenant", "signal", "value", "coverage")},
    }
)
"""A level as it was stored last in its five minutes."""

TOLD_IN: Final = """
    select
        time_bucket(interval '5 minutes', "at") as bucket, tenant, signal,
        arg_max(value, "at") as value, arg_max(coverage, "at") as coverage
    from samples
    where "at" >= $since and "at" < $until and list_contains($levels::varchar[], signal)
    group by all
"""
INSERT_SAMPLES: Final = "insert into samples by name from incoming"
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


def append_samples(
    database: Database, frame: pl.DataFrame, *, told: pl.DataFrame | None = None
) -> pl.DataFrame | None:
    """Append samples (SAMPLES); those without a value were not measured and are left out.

    Of a level one sample is stored in five minutes, and each that differs by more than 1 % from
    the one before it or has another coverage; of a rate every sample.

    Args:
        database: the history.
        frame: SAMPLES.
        told: the answer for the samples before these, where it is at hand: asking the table costs
            more than storing the samples of a look. None asks it, as after a start.

    Returns:
        TOLD, for the samples after these; None where these do not tell it.

    Raises:
        ValueError: a value is infinite or not a number; nothing is appended.
    """
    measured = frame.select(SAMPLES.names()).drop_nulls("value")
    broken = measured.filter(~pl.col("value").is_finite())
    if not broken.is_empty():
        raise ValueError(f"samples: the value of signal {broken['signal'][0]} is not finite")
    if measured.is_empty():
        return told
    buckets = measured["at"].dt.truncate("5m").unique().to_list()
    is_level = pl.col("signal").is_in(LEVELS)
    levels = measured.filter(is_level)
    with database.transaction() as cursor:
        if not levels.is_empty():
            if told is None:
                span = {"since": min(buckets), "until": max(buckets) + BUCKET, "levels": LEVELS}
                told = read_frame(database, TOLD_IN, span, schema=TOLD)
            news, told = _news(levels, told=told.filter(pl.col("bucket") >= min(buckets)))
            measured = pl.concat([measured.filter(~is_level), news])
        write_frame(cursor, INSERT_SAMPLES, measured)
        cursor.execute(MARK_UNROLLED, {"buckets": buckets})
    return told


def _news(levels: pl.DataFrame, *, told: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The SAMPLES of levels that say something else than TOLD, and TOLD with them."""
    key, before = ["bucket", "tenant", "signal"], pl.col("value_told")
    near = (pl.col("value") - before).abs() <= 0.01 * before.abs()
    same = near & pl.col("coverage").eq_missing(pl.col("coverage_told"))
    news = (
        levels.with_columns(bucket=pl.col("at").dt.truncate("5m"))
        .join(told, on=key, how="left", suffix="_told")
        .filter(~same.fill_null(value=False))
    )
    if not news.is_empty():
        newest = news.sort("at").select(TOLD.names())
        told = pl.concat([told, newest]).unique(key, keep="last", maintain_order=True)
    return news.select(SAMPLES.names()), told


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
