"""What each tenant asked of the cluster, from one scrape and the one before it.

Demand is what was asked for, not what was let through: a tenant at its limit would otherwise
look content. What was not measured gives no row. Rows carry the share of the pods that they
were measured on, so that a partial view can be told from a quiet tenant.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from policy import scrape as families
from policy import signals
from policy.frames import SAMPLES
from policy.rates import rates, seconds_between
from policy.scrape import Scrape
from policy.series import Copies, once, series_demand

# Mimir's limiter meters samples, exemplars and metadata; HA duplicates never reach it.
_METERED: Final = {
    families.SAMPLES_IN: 1.0,
    families.EXEMPLARS_IN: 1.0,
    families.METADATA_IN: 1.0,
    families.DEDUPED: -1.0,
}

# Counted by every replica that refused the sample; all other reasons are the distributors'.
_INGESTER_REASONS: Final = (
    "per_user_series_limit",
    "per_metric_series_limit",
    "sample-out-of-order",
    "sample-too-old",
    "sample-timestamp-too-old",
    "sample-too-far-in-future",
    "new-value-for-timestamp",
    "invalid-native-histogram",
    "labels-not-sorted",
)
_SERIES_REASONS: Final = ("per_user_series_limit", "per_user_active_series_limit")


def demand(
    current: Scrape, previous: Scrape | None, *, limits: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Every signal of policy.signals for every tenant that was seen.

    Args:
        current: the scrape that is judged.
        previous: the scrape before it, or None: then there are gauges and no rates.
        limits: LIMITS that the ingesters had loaded when they were scraped (the effective ones,
            defaults included). With it the series demand follows the fullest ingester.

    Returns:
        SAMPLES at `current.at`. `ingestion_burst_size` is the busiest distributor's rate over
        the interval and so a lower bound: neither the peak second nor the largest request is
        measured. The coverage of a rate counts only the pods that answered both times.
    """
    copies = Copies.of(current, previous)
    gauges = [
        series_demand(current, copies=copies, limits=limits),
        _active_series(current.readings, copies=copies),
    ]
    measured = [(gauges, current.coverage)]
    if previous is not None:
        per_second = rates(previous.readings, current.readings).filter(pl.col("user").is_not_null())
        measured.append((_rate_signals(per_second, copies=copies), _paired(previous, current)))
    return pl.concat(
        frame.select(
            pl.lit(current.at, dtype=SAMPLES["at"]).alias("at"),
            pl.col("user").alias("tenant"),
            "signal",
            "value",
            pl.lit(coverage).alias("coverage"),
        )
        for frames, coverage in measured
        for frame in frames
    )


def _paired(previous: Scrape, current: Scrape) -> float:
    """The share of the known pods that answered both times, some time apart, 0..1."""
    known = len(current.answered) + len(current.failed)
    both = set(current.answered) & set(previous.answered)
    timed = set(seconds_between(previous.readings, current.readings).get_column("pod"))
    read = set(current.readings.get_column("pod")) & set(previous.readings.get_column("pod"))
    # A pod without any reading (a page with nothing for us) has no rate to miss.
    return len(both - (read - timed)) / known if known else 0.0


def _rate_signals(per_second: pl.DataFrame, *, copies: Copies) -> list[pl.DataFrame]:
    metered = (
        per_second.filter(pl.col("family").is_in(list(_METERED)))
        .with_columns(
            pl.col("per_second")
            * pl.col("family").replace_strict(_METERED, return_dtype=pl.Float64)
        )
        .group_by("pod", "user")
        .agg(pl.col("per_second").sum().clip(lower_bound=0.0))
    )
    received = per_second.filter(pl.col("family") == families.RECEIVED)
    return [
        _signal(metered, pl.col("per_second").sum(), signals.INGESTION_RATE),
        _signal(metered, pl.col("per_second").max(), signals.INGESTION_BURST_SIZE),
        _signal(received, pl.col("per_second").sum(), signals.SAMPLES_RECEIVED),
        _discards(per_second, copies=copies),
    ]


def _signal(rows: pl.DataFrame, value: pl.Expr, signal: str) -> pl.DataFrame:
    return (
        rows.group_by("user")
        .agg(value.alias("value"))
        .select("user", pl.lit(signal).alias("signal"), "value")
    )


def _discards(per_second: pl.DataFrame, *, copies: Copies) -> pl.DataFrame:
    """Samples refused per second, by what they say of the limits; each sample counted once."""
    refused = per_second.filter(pl.col("family") == families.DISCARDED).with_columns(
        pl.when(pl.col("reason") == "rate_limited")
        .then(pl.lit(signals.DISCARDED_RATE_LIMITED))
        .when(pl.col("reason").is_in(_SERIES_REASONS))
        .then(pl.lit(signals.DISCARDED_SERIES_LIMIT))
        .otherwise(pl.lit(signals.DISCARDED_OTHER))
        .alias("signal"),
        pl.col("per_second").alias("value"),
    )
    at_ingester = pl.col("reason").is_in(_INGESTER_REASONS)
    key = ("user", "signal")
    return (
        pl.concat(
            [
                once(refused.filter(at_ingester.fill_null(False)), copies=copies, key=key),
                refused.filter(~at_ingester.fill_null(False)).select(*key, "value"),
            ]
        )
        .group_by(key)
        .agg(pl.col("value").sum())
    )


def _active_series(readings: pl.DataFrame, *, copies: Copies) -> pl.DataFrame:
    active = readings.filter(
        (pl.col("family") == families.SERIES_ACTIVE) & pl.col("user").is_not_null()
    )
    return once(active, copies=copies, key=("user",)).select(
        "user", pl.lit(signals.ACTIVE_SERIES).alias("signal"), "value"
    )
