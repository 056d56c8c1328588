"""What would be recommended if a tenant's demand had been another all the time.

Demand and nothing else is imagined: no limit has been changed lately, nobody else is there, and no
step is too large, so what shows is where the limit would come to rest. Nothing that a blast asked
for counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

import polars as pl

from policy.backtest_known import HOUR, KEYS, known
from policy.backtest_walk import Candidate
from policy.estimate import estimate
from policy.evidence import Evidence
from policy.frames import DECISIONS
from policy.recommend import recommend

# One row per limit: what its demand is multiplied with, what stands, what is recommended as it is
# and as it is imagined, and of the latter why, with its steps (JSON).
IMAGINED: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "factor": pl.Float64(),
        "before": pl.Float64(),
        "as_it_is": pl.Float64(),
        "imagined": pl.Float64(),
        "why": pl.String(),
        "steps": pl.String(),
    }
)
_ANY_LOWER_STEP: Final = 0.9999
_ANY_RAISE_STEP: Final = 1e6
_WITHOUT_BUDGET: Final = 2**31
_DEMAND: Final = ("peak", "highest", "sustained", "mean")


def imagine(
    hours: pl.DataFrame,
    *,
    current: pl.DataFrame,
    factors: Mapping[str, float],
    candidate: Candidate,
) -> pl.DataFrame:
    """The recommendations as it is and as it is imagined, at the end of what is known.

    Args:
        hours: HOURS of some tenants.
        current: LIMITS that stand.
        factors: limit -> what the demand on it is multiplied with; others stay as they are.
        candidate: the policy by which is decided.

    Returns:
        IMAGINED of every limit that is decided and measured, sorted.
    """
    factor = pl.col("limit").replace_strict(dict(factors), default=1.0, return_dtype=pl.Float64)
    as_it_is = _decided(hours, current=current, candidate=candidate)
    imagined = _decided(
        hours.with_columns(pl.col(_DEMAND) * factor), current=current, candidate=candidate
    )
    return (
        as_it_is.select(*KEYS, "before", as_it_is="after")
        .join(imagined.select(*KEYS, "steps", imagined="after", why="detail"), on=KEYS)
        .with_columns(factor=factor)
        .select(IMAGINED.names())
        .cast(IMAGINED)
        .sort(KEYS)
    )


def _decided(hours: pl.DataFrame, *, current: pl.DataFrame, candidate: Candidate) -> pl.DataFrame:
    """DECISIONS at the end of the newest hour, of what is measured."""
    if hours.is_empty():
        return pl.DataFrame(schema=DECISIONS)
    past = known(hours, with_seasons=candidate.seasons)
    now: datetime = past.hours.select(pl.col("at").max() + HOUR).item()
    cells = past.cells([now])
    estimates = estimate(
        past.days([now], window=candidate.estimating.window).drop("moment"),
        seasons=None if cells is None else cells.drop("moment"),
        rules=candidate.estimating,
        now=now,
    )
    # There is one look only, and what is asked about is where the limit comes to rest.
    rules = replace(
        candidate.rules,
        agreeing_runs=1,
        max_lower_step=_ANY_LOWER_STEP,
        max_raise_step=_ANY_RAISE_STEP,
        max_changes=_WITHOUT_BUDGET,
    )
    found = recommend(
        Evidence(estimates=estimates, current=current, coverage=1.0), rules=rules, now=now
    )
    return found.decisions.join(estimates.select(KEYS), on=KEYS, how="semi")
