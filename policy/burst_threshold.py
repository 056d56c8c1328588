"""Where a burst ends: what is asked for in a look that no bucket of a distributor can let through.

Each distributor lets a tenant have its part of `ingestion_rate`, and beyond that what its bucket of
`ingestion_burst_size` holds. Over one look all of them together let through the rate, and one
bucket each. Whoever asks for that and more, by the multiplier, has emptied a full bucket, and Mimir
refuses: such a look needs no threshold of 1.5 times the limit to be too much.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from policy.detection import THRESHOLDS
from policy.settings import Settings
from policy.signals import INGESTION_BURST_SIZE, INGESTION_RATE

BURST_FACTOR: Final = "ingestion_burst_factor"
LIMITS_OF_BURST: Final = (INGESTION_RATE, INGESTION_BURST_SIZE, BURST_FACTOR)


def within_burst(
    thresholds: pl.DataFrame, *, samples: pl.DataFrame, limits: pl.DataFrame, settings: Settings
) -> pl.DataFrame:
    """THRESHOLDS of samples, lowered to what empties the buckets within a look.

    Args:
        thresholds: THRESHOLDS that follow from the limits.
        samples: SAMPLES of this look, which tell how many distributors share the rate.
        limits: LIMITS in force. With `ingestion_burst_factor` the size of a bucket is another one,
            and is not known here: that threshold stays as it is.
        settings: the multiplier, and how long a look is.
    """
    times = settings.circuit_breaker.auto_config.limit_multipliers.burst_multiplier
    seconds = settings.protect_interval.total_seconds()

    def of(frame: pl.DataFrame, key: str, name: str) -> pl.DataFrame:
        return frame.filter(pl.col(key) == name).select("tenant", of="value")

    busiest = of(samples, "signal", INGESTION_BURST_SIZE).rename({"of": "busiest"})
    shared = of(samples, "signal", INGESTION_RATE).rename({"of": "shared"})
    most = (
        of(limits, "limit", INGESTION_RATE)
        .rename({"of": "rate"})
        .join(of(limits, "limit", INGESTION_BURST_SIZE).rename({"of": "burst"}), on="tenant")
        .join(of(limits, "limit", BURST_FACTOR).filter(pl.col("of") > 0), on="tenant", how="anti")
        .join(busiest, on="tenant")
        .join(shared, on="tenant")
        .filter((pl.col("rate") > 0) & (pl.col("burst") > 0) & (pl.col("busiest") > 0))
        .select(
            "tenant",
            kind=pl.lit("ingestion"),
            most=pl.col("rate")
            + pl.col("shared") / pl.col("busiest") * pl.col("burst") * times / seconds,
        )
    )
    return (
        thresholds.join(most, on=["tenant", "kind"], how="left", maintain_order="left")
        .with_columns(threshold=pl.min_horizontal("threshold", "most"))
        .select(THRESHOLDS.names())
    )
