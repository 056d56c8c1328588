"""Estimate demand and risk from days: a step that needs no history, so any process can do it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

from policy.estimate import EstimateRules, estimate_daily, probability
from policy.estimate.daily import daily

PART_SECONDS: Final = 120.0


def estimated_days(
    days: pl.DataFrame,
    seasons: pl.DataFrame,
    had: pl.DataFrame,
    rules: EstimateRules,
    now: datetime,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The demand that these days tell, and how likely the limit in force is hit.

    Args:
        days: DAYS, all of each tenant and limit that is in it.
        seasons: SEASONS of these limits.
        had: LIMITS in force of these tenants; of what it leaves out no risk is told.
        rules: window, strategy, spikes.
        now: aware UTC.

    Returns:
        ESTIMATES and RISKS.
    """
    rows = daily(days, rules=rules, now=now)
    found = _alone(estimate_daily(rows, seasons=seasons, rules=rules))
    asked = had.join(found, on=["tenant", "limit"], how="semi")
    return found, _alone(probability(rows, estimates=found, limits=asked))


# Nothing that passes by itself can fail here; the parts of a worker that is gone are Dask's.
estimate_part = task(
    name="estimate-part", task_run_name="estimate a part of the tenants", cache_policy=NO_CACHE
)(estimated_days)


def _alone(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame without the days that it was made of.

    Strings in polars point into the buffers that they came from, and keep them: ten thousand
    names would hold on to the seven hundred thousand that they were picked from.
    """
    kept = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    return pl.DataFrame(pl.from_arrow(kept)).cast(frame.schema)
