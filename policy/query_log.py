"""What each query asked of the per-query limits, from the query-frontend's log lines.

Mimir has no metric of these per tenant, only totals; its line `query stats` has them per query.
Both spellings are read, logfmt and JSON, of Mimir and of Cortex. A query that was split or sharded
is logged with the sum of its parts, while the limit applies to each part: usage is then an upper
bound. What a tenant writes, its query or user agent, is never taken for a figure of ours.

Quantiles come from counts in buckets that grow by 2 %, so they are within 1 % and the memory does
not grow with the log; maxima and minima are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log
from typing import Final

import polars as pl

from policy.frames import SAMPLES, UTC_TIME
from policy.signals import QUERY_LENGTH, QUERY_REACH

# The limits that a line tells the usage of, and the fields that tell it, the first that is there.
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "max_fetched_series_per_query": ("fetched_series_count",),
    "max_fetched_chunks_per_query": ("fetched_chunks_count",),
    "max_fetched_chunk_bytes_per_query": ("fetched_chunk_bytes", "fetched_chunks_bytes"),
    "max_total_query_length": ("length",),  # of which the limit is a text, such as 12h
}
_LENGTH: Final = "max_total_query_length"
# How far back a query reaches; no limit of Mimir's is on it.
_REACH: Final = "reach"
_REACH_FIELD: Final = "time_since_min_time"
QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

# Usage per query: tenant, at (null where the line has no time), one column per limit, and how many
# seconds it reaches back.
QUERIES: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "at": UTC_TIME,
        **dict.fromkeys(FIELDS, pl.Float64()),
        _REACH: pl.Float64(),
    }
)
# Queries counted by how much they used: `bucket` is the logarithm of the usage, null for nothing.
COUNTS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "bucket": pl.Int32(),
        "queries": pl.Int64(),
        "most": pl.Float64(),
    }
)
USAGE: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "queries": pl.Int64(),
        **dict.fromkeys(QUANTILES, pl.Float64()),
        "max": pl.Float64(),
    }
)

_GROWTH: Final = 1.02
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_TENANTS: Final = ("user", "org_id", "tenant")
_MESSAGE: Final = "query stats"
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def queries_in(lines: pl.Series) -> tuple[pl.DataFrame, int]:
    """The queries that the lines tell of (QUERIES), and how many lines are broken.

    A line of something else is passed over; one that says `query stats` and has no tenant or no
    figure, as when it was cut off, is broken.
    """
    stats = lines.to_frame("line").filter(pl.col("line").str.contains(_MESSAGE, literal=True))
    is_json = pl.col("line").str.starts_with("{")
    told = pl.concat(
        [
            stats.filter(is_json)
            .filter(_of_json("msg").fill_null(_MESSAGE) == _MESSAGE)
            .select(_fields(_of_json)),
            stats.filter(~is_json)
            .with_columns(bare=pl.col("line").str.replace_all(_QUOTED, '""'))
            .filter(pl.col("line").str.contains(r'(?:^|\s)msg="query stats"'))
            .select(_fields(_of_logfmt)),
        ]
    )
    figures = [pl.col(limit).is_not_null() for limit in FIELDS if limit != _LENGTH]
    whole = told.filter(pl.col("tenant").is_not_null() & pl.any_horizontal(figures))
    return whole.select(QUERIES.names()), told.height - whole.height


def counted(queries: pl.DataFrame) -> pl.DataFrame:
    """COUNTS of QUERIES."""
    usage = queries.unpivot(list(FIELDS), index="tenant", variable_name="limit", value_name="used")
    bucket = (pl.col("used").log(_GROWTH).round(9).ceil()).cast(pl.Int32)
    return (
        usage.drop_nulls("used")
        .with_columns(bucket=pl.when(pl.col("used") > 0).then(bucket))
        .group_by("tenant", "limit", "bucket")
        .agg(queries=pl.len().cast(pl.Int64), most=pl.col("used").max())
        .select(COUNTS.names())
    )


def merged(counts: pl.DataFrame) -> pl.DataFrame:
    """COUNTS of several parts of a log as those of the whole."""
    return (
        counts.group_by("tenant", "limit", "bucket")
        .agg(pl.col("queries").sum(), pl.col("most").max())
        .select(COUNTS.names())
    )


def usage(counts: pl.DataFrame) -> pl.DataFrame:
    """Quantiles of the usage of each tenant and limit (USAGE), in the limit's unit; lengths in s.

    Args:
        counts: COUNTS, each tenant, limit and bucket once.
    """
    key = ["tenant", "limit"]
    middle = 2 * _GROWTH / (1 + _GROWTH)  # of the bucket, in parts of its lower end
    typical = (pl.col("bucket") - 1).cast(pl.Float64) * log(_GROWTH)
    rows = counts.sort(*key, "bucket", nulls_last=False).with_columns(
        upto=pl.col("queries").cum_sum().over(key),
        total=pl.col("queries").sum().over(key),
        value=pl.min_horizontal(typical.exp() * middle, "most").fill_null(0.0),
    )
    quantiles = [
        pl.col("value").filter(pl.col("upto") >= pl.col("total") * share).first().alias(name)
        for name, share in QUANTILES.items()
    ]
    return (
        rows.group_by(key, maintain_order=True)
        .agg(pl.col("queries").sum(), *quantiles, max=pl.col("most").max())
        .select(USAGE.names())
    )


def peaks(queries: pl.DataFrame) -> pl.DataFrame:
    """SAMPLES of the largest usage of each limit in each five minutes, at its last query.

    The largest, not a quantile: a limit below it refuses a query that was answered. Of a query
    without a time there is no sample. A length is the signal QUERY_LENGTH: the limit on it is a
    duration, which is no number and so has no demand in its own unit. How far back a query
    reaches is the signal QUERY_REACH.
    """
    return newest_peaks(
        queries.drop_nulls("at")
        .unpivot(
            [*FIELDS, _REACH], index=["tenant", "at"], variable_name="signal", value_name="value"
        )
        .drop_nulls("value")
        .with_columns(
            pl.col("signal").replace({_LENGTH: QUERY_LENGTH, _REACH: QUERY_REACH}),
            coverage=pl.lit(1.0),
        )
    )


def newest_peaks(samples: pl.DataFrame) -> pl.DataFrame:
    """Of SAMPLES, the largest of each tenant, signal and five minutes, at the time of the last."""
    return (
        samples.group_by("tenant", "signal", bucket=pl.col("at").dt.truncate("5m"))
        .agg(pl.col("at").max(), pl.col("value").max(), pl.col("coverage").min())
        .select(SAMPLES.names())
    )


def _fields(read: Callable[[str], pl.Expr]) -> list[pl.Expr]:
    tenant = pl.coalesce(read(name) for name in _TENANTS)
    at = pl.coalesce(read(name) for name in ("ts", "time", "timestamp"))
    figures = {limit: pl.coalesce(read(name) for name in names) for limit, names in FIELDS.items()}
    length = figures.pop(_LENGTH)
    return [
        pl.when(tenant != "").then(tenant).alias("tenant"),
        at.str.to_datetime(format="%+", time_unit="us", time_zone="UTC", strict=False).alias("at"),
        *(_count(text).alias(limit) for limit, text in figures.items()),
        _seconds(length).alias(_LENGTH),
        _seconds(read(_REACH_FIELD)).alias(_REACH),
    ]


def _count(text: pl.Expr) -> pl.Expr:
    """A figure as a number; what is negative or none is no figure."""
    value = text.cast(pl.Float64, strict=False)
    return pl.when(value.is_finite() & (value >= 0)).then(value)


def _seconds(text: pl.Expr) -> pl.Expr:
    """A duration as Go writes it, such as `1h30m0.5s`."""
    parts = [
        text.str.extract(rf"(?:^|[a-zµ])([0-9.]+){unit}(?:[0-9]|$)")
        .cast(pl.Float64, strict=False)
        .fill_null(0.0)
        * seconds
        for unit, seconds in _UNITS.items()
    ]
    is_one = text.str.contains(r"^(?:[0-9.]+(?:h|m|s|ms|us|µs|ns))+$")
    return pl.when(is_one).then(pl.sum_horizontal(parts))


def _of_logfmt(name: str) -> pl.Expr:
    """A value that is not quoted, outside all that is."""
    return pl.col("bare").str.extract(rf'(?:^|\s){name}=([^\s"]+)')


def _of_json(name: str) -> pl.Expr:
    return pl.col("line").str.json_path_match(f"$.{name}")
