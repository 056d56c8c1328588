"""The strategies: how the days of a window become one demand, before anything is added to it.

A strategy reads counted peaks only, so none of them can be carried away by a single event. An
own one is any object with a `demand` like these, named in the entry point group
`mimir_limit_optimizer.strategies` (see `policy.estimate.registry`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Protocol

import polars as pl

from policy.estimate.quantiles import weighted_quantiles
from policy.estimate.rules import EstimateRules
from policy.figures import figure

QUANTILE: Final = 0.98
RECENT_DAYS: Final = 8  # so that the same day of last week is always among them
_CUT_HALF_LIVES: Final = 5.0  # older than that, a day weighs a thirty-second and is dropped
_AVERAGED_DAYS: Final = 3


class Strategy(Protocol):
    """What a strategy has to be."""

    def demand(self, days: pl.DataFrame, *, rules: EstimateRules) -> pl.DataFrame:
        """The demand of each key.

        Args:
            days: DAILY of `policy.estimate.daily`: one row per key (a tenant and limit) and day,
                sorted by both; only what is in the window.
            rules: all that the operator set.

        Returns:
            One row per key at most: key, `demand` (null or absent where nothing can be said),
            `because` (some words, or null), and any further columns of numbers: its parts, shown
            when the decision is explained.
        """
        ...


class DecayedPeaks:
    """The 98th percentile of daily peaks, old ones weighing less, and no less than the recent one.

    Recent is the last 8 days; without `includePeaks` it is today and yesterday.
    """

    def demand(self, days: pl.DataFrame, *, rules: EstimateRules) -> pl.DataFrame:
        """The demand of each key, with the parts `quantile` and `recent`."""
        eldest = min(_CUT_HALF_LIVES * rules.half_life_days, rules.window_days)
        within = days.filter(pl.col("age") <= eldest)
        quantile = weighted_quantiles(
            within, value="counted", weight="weight", shares={"quantile": QUANTILE}
        )
        floor_days = RECENT_DAYS if rules.include_peaks else 2
        recent = _highest(days.filter(pl.col("age") < floor_days), name="recent")
        told = pl.lit(
            f"the {QUANTILE * 100:g}th percentile of the daily peaks, half as much weight every "
            f"{figure(rules.half_life_days)} days"
        )
        by_recent = pl.lit(f"the highest daily peak of the last {floor_days} days")
        return quantile.join(recent, on="key", how="left").with_columns(
            demand=pl.max_horizontal("quantile", "recent"),
            because=pl.when(pl.col("recent") > pl.col("quantile")).then(by_recent).otherwise(told),
        )


class Percentile:
    """A percentile of the window's daily peaks, each day weighing the same.

    With `useMovingAverage` each day stands for the mean of itself and the two before it; with
    `includePeaks` the result is not below the window's highest counted peak.
    """

    def demand(self, days: pl.DataFrame, *, rules: EstimateRules) -> pl.DataFrame:
        """The demand of each key, with the part `percentile` and, with `includePeaks`, `peak`."""
        level = _moving_average() if rules.moving_average else pl.col("counted")
        plain = days.with_columns(level=level, one=pl.lit(1.0))
        found = weighted_quantiles(
            plain, value="level", weight="one", shares={"percentile": rules.percentile / 100}
        )
        what = f"{_AVERAGED_DAYS}-day means of the peaks" if rules.moving_average else "daily peaks"
        told = pl.lit(f"the {rules.percentile:g}th percentile of the {what} in the window")
        if not rules.include_peaks:
            return found.with_columns(demand="percentile", because=told)
        peaks = found.join(_highest(days, name="peak"), on="key", how="left")
        by_peak = pl.lit("the highest daily peak in the window")
        return peaks.with_columns(
            demand=pl.max_horizontal("percentile", "peak"),
            because=pl.when(pl.col("peak") > pl.col("percentile")).then(by_peak).otherwise(told),
        )


class Highest:
    """The window's highest counted peak."""

    def demand(self, days: pl.DataFrame, *, rules: EstimateRules) -> pl.DataFrame:
        """The demand of each key."""
        words = pl.lit(f"the highest daily peak of {rules.window_days} days")
        return _highest(days, name="demand").with_columns(because=words)


BUILT_IN: Final[dict[str, Strategy]] = {
    "decayed-peaks": DecayedPeaks(),
    "max": Highest(),
    "percentile": Percentile(),
}


def _highest(days: pl.DataFrame, *, name: str) -> pl.DataFrame:
    return days.group_by("key").agg(pl.col("counted").max().alias(name))


def _moving_average() -> pl.Expr:
    """The mean of each day and of those among the two before it that are there."""
    key, day, counted = pl.col("key"), pl.col("day"), pl.col("counted")
    reach = timedelta(days=_AVERAGED_DAYS - 1)
    before = [
        pl.when((key.shift(back) == key) & (day - day.shift(back) <= reach)).then(
            counted.shift(back)
        )
        for back in range(1, _AVERAGED_DAYS)
    ]
    return pl.when(counted.is_not_null()).then(pl.mean_horizontal(counted, *before))
