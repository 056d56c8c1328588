"""Tell a spike from growth: what a day's peak counts for.

A peak far above the level that the tenant holds is an event, and counts for no more than the
threshold above that level: one short burst must not be what a limit is sized on for weeks. On its
second day a height counts up to the cap, and on its third it is a habit and counts in full; a
level that lasts is growth, and counts at once, because the level rises with it. Nothing is counted
for more than it was.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

from policy.estimate.rules import SpikeRules

# A height is a habit on its third day of fifteen: so that every Monday is one, too.
_HABIT_DAYS: Final = 14


def counted(rows: pl.DataFrame, *, spike: SpikeRules) -> pl.DataFrame:
    """Add `counted` and `event`: what each day's peak counts for, and whether that is less.

    A day whose level is not known yet has the newest one that is; where there is none at all, its
    peak counts in full.

    Args:
        rows: key, day, peak, sustained, sorted by key and day.
        spike: threshold and cap.
    """
    if not spike.enabled:
        return rows.with_columns(counted="peak", event=pl.lit(value=False))
    told = rows.with_row_index("row").with_columns(level=_held())
    peak, level = pl.col("peak"), pl.col("level")
    short = (peak > level * spike.threshold).fill_null(value=False)

    # Few tenants have an event, so habits are looked for only there.
    with_one = told.filter(short)["key"].unique()
    habits = _habits(told.filter(pl.col("key").is_in(with_one.implode())))
    told = told.join(habits, on="row", how="left", maintain_order="left")

    again = pl.min_horizontal("again", level * spike.max_multiplier)
    most = pl.min_horizontal(
        peak, pl.max_horizontal(level * spike.threshold, again, pl.col("habit"))
    )
    counts = pl.when(short).then(most).otherwise(peak)
    return (
        told.with_columns(counted=counts)
        .with_columns(event=(pl.col("counted") < pl.col("peak")).fill_null(value=False))
        .drop("row", "level", "again", "habit")
    )


def _held() -> pl.Expr:
    """The level of the day, or the newest one before that is known of the same key."""
    known = pl.col("sustained").is_not_null()
    of_key = pl.when(known).then("key").forward_fill() == pl.col("key")
    return pl.when(of_key).then(pl.col("sustained").forward_fill())


def _habits(rows: pl.DataFrame) -> pl.DataFrame:
    """The height that was reached on two of the days up to each one, and on three: again, habit.

    Minus infinity where there were fewer days.
    """
    nothing = float("-inf")
    key, day = pl.col("key"), pl.col("day")
    heights = rows.select(
        "row",
        "key",
        "day",
        here=pl.col("peak").fill_null(nothing),
        first=pl.col("peak").fill_null(nothing),
        second=pl.lit(nothing),
        third=pl.lit(nothing),
    )
    for back in range(1, _HABIT_DAYS + 1):
        near = (key.shift(back) == key) & (day - day.shift(back) <= timedelta(days=_HABIT_DAYS))
        other = pl.when(near).then(pl.col("here").shift(back)).otherwise(nothing)
        heights = heights.with_columns(other=other).with_columns(
            first=pl.max_horizontal("first", "other"),
            second=pl.max_horizontal("second", pl.min_horizontal("first", "other")),
            third=pl.max_horizontal("third", pl.min_horizontal("second", "other")),
        )
    return heights.select("row", again="second", habit="third")
