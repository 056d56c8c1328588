"""How far an estimate is believed, and the bounds of what else would be believable.

Little history widens; full history, of 14 days or of the whole window, does not. The bounds are
demands like the estimate itself: a limit above the upper one, buffer included, is surely too high.
"""

from __future__ import annotations

import polars as pl

_HOURS: int = 24


def confidence(*, full_days: float) -> pl.Expr:
    """0..1 of the columns `days` and `hours`: 1 with full days whose every hour has data."""
    told = (pl.col("hours") / _HOURS * full_days).sqrt()
    return (pl.min_horizontal(pl.col("days").cast(pl.Float64), told) / full_days).clip(0.0, 1.0)


def widening(known: pl.Expr) -> pl.Expr:
    """The factor for want of confidence: 2 with nothing, 1 with full confidence."""
    return 1 + (1 - known).pow(2)


def upper(quantile: pl.Expr) -> pl.Expr:
    """The upper bound of the 95 % quantile: twice it after a day, 7 % above it after 14."""
    return quantile * (1 + 1 / _observed_days())


def lower(quantile: pl.Expr) -> pl.Expr:
    """The lower bound of the median: near it from the first hour on."""
    return quantile * (1 + 0.001 / _observed_days()).pow(-2)


def _observed_days() -> pl.Expr:
    """Days of data, by hours where a day was seen in part; null without any."""
    observed = pl.min_horizontal(pl.col("days").cast(pl.Float64), pl.col("hours") / _HOURS)
    return pl.when(observed > 0).then(observed)
