"""What is usual of a tenant: how it is told, how high it lies now, and what it is used to reach.

Usual is what the same hours of the last weeks were, as many times as the tenant was above its weeks
in the last hours: it may grow. Of one too young for weeks its last six hours count.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from policy.signals import SERIES

# Of each tenant and signal, null where it is not known. `mid` is the median of the logarithms of
# the hourly means of the same hours of past weeks, `points` their number, `spread` the median of
# what lies between one and the same hour of the week before, by the root of two: as much as their
# median absolute deviation would be, were it not for growth. `lift` is how many times its own of
# past weeks the last three hours were, `recent` the median of the last six. Of calm peaks: `near`
# is the highest of the same hours, of past weeks and months and of the day before, and of the last
# three hours; `peak` the highest of those and of the whole last day; `crest` how many times the
# mean of its hour a peak of the last day was.
USUAL: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "signal": pl.String(),
        "mid": pl.Float64(),
        "spread": pl.Float64(),
        "points": pl.Int64(),
        "lift": pl.Float64(),
        "recent": pl.Float64(),
        "near": pl.Float64(),
        "peak": pl.Float64(),
        "crest": pl.Float64(),
    }
)
LEAST_POINTS: Final = 6  # hours of past weeks: two weeks of three


def seasoned() -> pl.Expr:
    """Whether enough past weeks of a row of USUAL are known."""
    return pl.col("points").fill_null(0) >= LEAST_POINTS


def level() -> pl.Expr:
    """What a row of USUAL is compared with, in the unit of its signal."""
    weeks = pl.col("mid").exp() * pl.max_horizontal(pl.lit(1.0), "lift")
    return pl.when(seasoned()).then(weeks).otherwise("recent")


def habit() -> pl.Expr:
    """What a row of USUAL reaches as a habit, in the unit of its signal.

    Who has bursts within its hours has them at any hour; how high these are is told by its level.
    """
    bursts = pl.col("crest") * level()
    return pl.when(seasoned()).then(pl.max_horizontal("near", bursts)).otherwise("peak")


def levels(usual: pl.DataFrame) -> pl.DataFrame:
    """Columns tenant, signal, level: what no cap may be below; of series in memory, their peak.

    What it asks for of late is needed, however little it was a week ago.
    """
    needed = pl.max_horizontal(level(), "recent")
    held = pl.when(pl.col("signal") == SERIES).then("peak").otherwise(needed)
    return usual.select("tenant", "signal", level=held)
