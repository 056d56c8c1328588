"""How likely a limit is hit within a day.

Counted is how often a day, with the growth that lies ahead, would have exceeded the limit, recent
days weighing more. Half a hit is added, so that what never happened is unlikely and not
impossible. Below three days nothing is said.
"""

from __future__ import annotations

from typing import Final

import polars as pl

RISKS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "hit_probability": pl.Float64(),
        "utilisation": pl.Float64(),
        "hit_days": pl.Int64(),
    }
)
_KEYS: Final = ("tenant", "limit")
_LEAST_DAYS: Final = 3


def probability(
    rows: pl.DataFrame, *, estimates: pl.DataFrame, limits: pl.DataFrame
) -> pl.DataFrame:
    """The chance that demand exceeds each limit within 24 hours, and its use by the recent peak.

    Args:
        rows: DAILY, as `policy.estimate.daily` gives them.
        estimates: ESTIMATES of the same days, for the recent peak and the growth.
        limits: LIMITS in force; those that are 0 (unlimited or blocking) get no answer.

    Returns:
        RISKS, sorted: one row per limit above 0. `hit_probability` 0..1, null below three days;
        `utilisation` recent peak / limit, null when not measured; `hit_days` the days that would
        have exceeded it, null with the probability: without one, the probability is only the half
        hit that was added, and speaks of how few the days are.
    """
    asked = limits.filter(pl.col("value") > 0).join(
        estimates.select(*_KEYS, "recent", pl.col("lead").fill_null(0.0)), on=_KEYS, how="left"
    )
    counted = rows.filter(pl.col("counted").is_not_null())
    named = counted.group_by("key", maintain_order=True).agg(pl.col(_KEYS).first().cast(pl.String))
    numbered = named.join(asked, on=_KEYS)
    weight = pl.col("weight")
    hit = pl.col("counted") + pl.col("lead") > pl.col("value")
    shares = (
        counted.select("key", "counted", "weight")
        .join(numbered.select("key", "lead", "value"), on="key")
        .group_by("key")
        .agg(
            share=(weight * hit).sum() / weight.sum(),
            effective=weight.sum().pow(2) / weight.pow(2).sum(),
            days=pl.len(),
            hit_days=hit.sum().cast(pl.Int64),
        )
        .filter(pl.col("days") >= _LEAST_DAYS)
    )
    chance = (pl.col("share") * pl.col("effective") + 0.5) / (pl.col("effective") + 1)
    known = numbered.join(shares, on="key").select(*_KEYS, "hit_days", hit_probability=chance)
    return (
        asked.join(known, on=_KEYS, how="left")
        .with_columns(utilisation=pl.col("recent") / pl.col("value"))
        .select(RISKS.names())
        .sort(_KEYS)
    )
