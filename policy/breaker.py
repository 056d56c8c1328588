"""Tell a blast from growth, and hold a blasting tenant at the limits it has.

A tenant blasts when its demand is far over its limit, or over an absolute threshold, and also
far over its own usual: growth alone is not a blast. Without a baseline only the absolute
threshold is believed. The breaker raises nothing and cuts nothing here: it freezes.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

import polars as pl

from policy.figures import TIMES, grouped
from policy.frames import LAYERS, UTC_TIME
from policy.signals import INGESTION_RATE, SAMPLES_ASKED

BASELINE_FACTOR: Final = 3.0

# One row per blasting tenant. `value` is its demand and `threshold` what it had to exceed, both
# in samples/s; `because` is one sentence.
BLASTS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "value": pl.Float64(),
        "threshold": pl.Float64(),
        "because": pl.String(),
    }
)


def suspects(
    latest: pl.DataFrame, *, baseline: pl.DataFrame, absolute_threshold: float | None
) -> pl.DataFrame:
    """The rows of `latest` that may be a blast, whatever the limits are; most often none.

    Args:
        latest: SAMPLES of what is asked for per second.
        baseline: tenant, baseline: the trailing usual demand, samples/s.
        absolute_threshold: samples/s that nobody may ask for, None for no such threshold.
    """
    usual = baseline.select("tenant", usual=pl.col("baseline") * BASELINE_FACTOR)
    least = pl.coalesce("usual", pl.lit(absolute_threshold, dtype=pl.Float64))
    return (
        latest.join(usual, on="tenant", how="left", maintain_order="left")
        .filter(pl.col("value") > least)
        .drop("usual")
    )


def blasting(
    latest: pl.DataFrame,
    *,
    baseline: pl.DataFrame,
    current: pl.DataFrame,
    multiplier: float,
    absolute_threshold: float | None,
) -> pl.DataFrame:
    """The tenants that blast at this instant.

    Args:
        latest: SAMPLES; the newest of what each tenant asks for counts, all distributors added
            up: connections that move to one of them are no blast.
        baseline: tenant, baseline: the trailing usual demand, samples/s.
        current: LIMITS in force.
        multiplier: how many times its limit a tenant may ask for.
        absolute_threshold: samples/s that nobody may ask for, None for no such threshold.

    Returns:
        BLASTS, sorted by tenant.
    """
    demand = (
        latest.filter(pl.col("signal") == SAMPLES_ASKED, pl.col("value").is_finite())
        .sort("at")
        .unique("tenant", keep="last")
        .select("tenant", "value")
    )
    limits = current.filter(limit=INGESTION_RATE).select("tenant", limit_value="value")
    rows = demand.join(limits, on="tenant", how="left").join(
        baseline.select("tenant", "baseline"), on="tenant", how="left"
    )

    absolute = pl.lit(absolute_threshold, dtype=pl.Float64)
    usual = pl.col("baseline") * BASELINE_FACTOR
    # min_horizontal skips null: the threshold that is not known is not one.
    allowed = pl.min_horizontal(pl.col("limit_value") * multiplier, absolute)
    threshold = (
        pl.when(pl.col("baseline").is_not_null())
        .then(pl.max_horizontal(allowed, usual))
        .otherwise(absolute)
    )
    return (
        rows.with_columns(
            threshold=pl.when(allowed.is_not_null()).then(threshold), because=_because()
        )
        .filter(pl.col("value") > pl.col("threshold"))
        .select(BLASTS.names())
        .cast(BLASTS)
        .sort("tenant")
    )


def breaker_layer(
    blasts: pl.DataFrame,
    *,
    current: pl.DataFrame,
    limits: Collection[str],
    endless: Collection[str],
    written_at: datetime,
    expires_at: datetime,
) -> pl.DataFrame:
    """Cap the limits of the blasting tenants at what is in force: no raise while it lasts.

    Args:
        blasts: BLASTS.
        current: LIMITS in force; what is unlimited or unknown is not capped.
        limits: which limits are held.
        endless: the limits where 0 means unlimited.
        written_at: stamp of the entries, aware UTC.
        expires_at: when they lapse by themselves, aware UTC.

    Returns:
        LAYERS of the layer `breaker`, sorted.
    """
    is_endless = pl.col("limit").is_in(list(endless)) & (pl.col("value") == 0)
    held = current.filter(pl.col("limit").is_in(list(limits)) & ~is_endless)
    evidence = pl.struct(demand="value", threshold="threshold").struct.json_encode()
    return (
        blasts.with_columns(evidence=evidence)
        .drop("value")
        .join(held, on="tenant")
        .select(
            "tenant",
            "limit",
            layer=pl.lit("breaker"),
            kind=pl.lit("cap"),
            value="value",
            reason=pl.concat_str(pl.lit("held during a blast: "), "because"),
            evidence="evidence",
            written_at=pl.lit(written_at).cast(UTC_TIME),
            expires_at=pl.lit(expires_at).cast(UTC_TIME),
        )
        .cast(LAYERS)
        .sort("tenant", "limit")
    )


def _because() -> pl.Expr:
    value, limit, usual = pl.col("value"), pl.col("limit_value"), pl.col("baseline")
    of_limit = pl.when(limit > 0).then(
        pl.concat_str(
            grouped(value / limit),
            pl.lit(f" {TIMES} its limit of "),
            grouped(limit),
            pl.lit("/s"),
        )
    )
    of_usual = pl.when(usual > 0).then(
        pl.concat_str(
            grouped(value / usual),
            pl.lit(f" {TIMES} its usual "),
            grouped(usual),
            pl.lit("/s"),
        )
    )
    return pl.concat_str(
        pl.concat_str(grouped(value), pl.lit("/s asked for")),
        of_limit,
        of_usual,
        separator=", ",
        ignore_nulls=True,
    )
