"""Bring days into the order that every part of an estimate reads them in.

The rows of one tenant and limit stand together, oldest day first, under one number, `key`:
comparing a number is cheaper than comparing two names. Days outside of the window, and days that
have not begun at `now`, are left out.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from policy.estimate.rules import EstimateRules
from policy.estimate.spikes import counted
from policy.frames import DAYS, UTC_TIME

# DAYS of the window, sorted by key and day, without duplicates. `age` whole days before the
# running one; `counted` what the peak counts for, null when there was none; `event` whether it
# counts for less than it was; `weight` halves with each half-life.
DAILY: Final = pl.Schema(
    {
        "key": pl.UInt32(),
        **DAYS,
        "age": pl.Int32(),
        "counted": pl.Float64(),
        "event": pl.Boolean(),
        "weight": pl.Float64(),
    }
)


def daily(days: pl.DataFrame, *, rules: EstimateRules, now: datetime) -> pl.DataFrame:
    """Give each day its key, age, weight, and what its peak counts for.

    Args:
        days: DAYS in any order, at most one row per tenant, limit and day.
        rules: window, half-life, spikes.
        now: aware UTC.

    Returns:
        DAILY; tenant and limit keep the type that they came with.
    """
    age = (pl.lit(now).cast(UTC_TIME).dt.date() - pl.col("day")).dt.total_days().cast(pl.Int32)
    aged = days.with_columns(age=age).filter(pl.col("age").is_between(0, rules.window_days))
    rows = counted(keyed(aged), spike=rules.spike)
    by_age = pl.Series(
        [2 ** (-each / rules.half_life_days) for each in range(rules.window_days + 1)]
    )
    return rows.with_columns(weight=by_age.gather(rows["age"]))


def keyed(days: pl.DataFrame) -> pl.DataFrame:
    """The days sorted by tenant, limit and day, with a number for each tenant and limit."""
    tenant, limit = pl.col("tenant"), pl.col("limit")
    begins = ((tenant != tenant.shift()) | (limit != limit.shift())).fill_null(value=True)
    return days.sort("tenant", "limit", "day").with_columns(key=begins.cum_sum().cast(pl.UInt32))
