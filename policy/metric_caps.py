"""What the breakers hold of a single metric: the gentlest step, where it is known which one grows.

It stops new series of that metric, and of no other: Mimir applies one number to each metric of the
tenant, so the cap is never below 1.1 times what the fullest of the others has.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

import polars as pl

from policy.breaker_caps import LEFT, SERIES_MARGIN
from policy.breakers import TRIPPED
from policy.figures import grouped
from policy.frames import LAYERS, UTC_TIME, empty
from policy.sizing import round_up

PER_METRIC: Final = "max_global_series_per_metric"


def metric_caps(
    breakers: pl.DataFrame,
    *,
    growing: pl.DataFrame,
    known: Collection[str],
    written_at: datetime,
    expires_at: datetime,
) -> pl.DataFrame:
    """The part of the layer `breaker` that is about single metrics.

    Args:
        breakers: BREAKERS.
        growing: GROWING.
        known: the limits that the oldest running Mimir knows.
        written_at: stamp of the entries, aware UTC.
        expires_at: when they lapse by themselves, aware UTC.

    Returns:
        LAYERS, sorted by tenant: of those whose growth is of one metric.
    """
    if PER_METRIC not in known:
        return empty(LAYERS)
    rows = breakers.filter(pl.col("state").is_in(TRIPPED)).join(growing, on="tenant")
    left = pl.col("state").replace_strict(LEFT, return_dtype=pl.Float64)
    value = pl.max_horizontal(pl.col("series") * left, pl.col("others") * SERIES_MARGIN)
    reason = pl.format(
        "breaker {}: {} has {} series and is {} % of what came",
        pl.col("state").str.replace("_", "-"),
        "metric",
        grouped(pl.col("series").cast(pl.Float64)),
        (pl.col("share") * 100).round().cast(pl.Int64),
    )
    return (
        rows.select(
            "tenant",
            limit=pl.lit(PER_METRIC),
            layer=pl.lit("breaker"),
            kind=pl.lit("cap"),
            value=round_up(value),
            reason=reason,
            evidence=pl.struct(
                "state", "kinds", "metric", "series", "others", "share"
            ).struct.json_encode(),
            written_at=pl.lit(written_at).cast(UTC_TIME),
            expires_at=pl.lit(expires_at).cast(UTC_TIME),
        )
        .cast(LAYERS)
        .sort("tenant")
    )
