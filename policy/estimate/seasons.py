"""What the hours of the week add: a limit holds for all of them, so the highest one counts.

An hour that was seen in one week only is no season. Hours are those of UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

_LEAST_WEEKS: Final = 2
_HOURS: Final = 24


def highest_hours(seasons: pl.DataFrame, *, hour_factors: Mapping[int, float]) -> pl.DataFrame:
    """The highest hour of the week of each tenant and limit.

    Args:
        seasons: SEASONS; the keys may be Categorical or Enum.
        hour_factors: hour of the day -> factor, none for `timeOfDayBuffers` that are not set.

    Returns:
        tenant, limit (String), season (level of that hour), season_hour (0..167), time_factor: the
        highest hour with the factors over the highest without; null without factors or a level.
    """
    level, hour = pl.col("level"), pl.col("hour_of_week").cast(pl.Int64)
    factor = (hour % _HOURS).replace_strict(
        dict(hour_factors) or {0: 1.0}, default=1.0, return_dtype=pl.Float64
    )
    cells = seasons.filter((pl.col("weeks") >= _LEAST_WEEKS) & level.is_not_null())
    weighed = pl.col("weighed") if hour_factors else level
    if hour_factors:
        cells = cells.with_columns(weighed=level * factor)
    found = cells.group_by("tenant", "limit").agg(
        season=level.max(), season_hour=hour.get(level.arg_max()), weighed=weighed.max()
    )
    ratio = pl.when(pl.col("season") > 0).then(pl.col("weighed") / pl.col("season"))
    return found.select(
        pl.col("tenant", "limit").cast(pl.String),
        "season",
        "season_hour",
        time_factor=ratio if hour_factors else pl.lit(None, dtype=pl.Float64),
    )
