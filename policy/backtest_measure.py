"""What a policy came to: refusals, headroom, changes, and how far it was from hindsight.

What is refused is told from above: of an hour only the mean and the largest five minutes are
known, so it counts the most minutes above the limit that go with them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from policy.backtest_known import KEYS

# One row per tenant and limit. `hours` with data; `hours_refused` those in which more was asked for
# than the limit, blasts left out, `blast_hours_refused` the others; `minutes_refused` and
# `amount_refused` (unit of the limit times seconds) at most; `headroom` the mean limit over the
# mean of the hours' peaks; `changes`, of these `raises`, and `reversals` of direction;
# `changes_per_week`; `largest_step` as a fraction; `regret` what the limit was above the highest
# peak of the 28 days that followed, as a fraction of that; `limit_at_end`.
OUTCOMES: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "hours": pl.Int64(),
        "hours_refused": pl.Int64(),
        "blast_hours_refused": pl.Int64(),
        "minutes_refused": pl.Float64(),
        "amount_refused": pl.Float64(),
        "headroom": pl.Float64(),
        "changes": pl.Int64(),
        "raises": pl.Int64(),
        "reversals": pl.Int64(),
        "changes_per_week": pl.Float64(),
        "largest_step": pl.Float64(),
        "regret": pl.Float64(),
        "limit_at_end": pl.Float64(),
    }
)

_MINUTES: Final = 60.0
_LEAST_MINUTES: Final = 5.0
_WEEK_SECONDS: Final = 7 * 86_400


def outcomes_of(
    hours: pl.DataFrame,
    *,
    start: pl.DataFrame,
    changes: pl.DataFrame,
    since: datetime,
    until: datetime,
) -> pl.DataFrame:
    """OUTCOMES of each limit of `start` that has data, sorted.

    Args:
        hours: HOURS; those after `until` are still what was to come.
        start: LIMITS that stood before the first change.
        changes: CHANGED_LIMITS.
        since: what was before is not judged.
        until: nor what is from here on.
    """
    judged = _judged(hours, start=start, changes=changes, since=since, until=until)
    value, peak, highest = pl.col("value"), pl.col("peak"), pl.col("highest")
    refused = (peak > value).fill_null(value=False)
    # Five-minute means above the limit add up to no more than the mean of the hour.
    minutes = (
        (pl.col("mean") / value * 12).floor().clip(1, 12).fill_null(12.0) * _LEAST_MINUTES
    ).fill_nan(_MINUTES)
    measured = judged.group_by(KEYS).agg(
        hours=pl.len().cast(pl.Int64),
        hours_refused=refused.sum().cast(pl.Int64),
        blast_hours_refused=((highest > value) & ~refused).sum().cast(pl.Int64),
        minutes_refused=minutes.filter(refused).sum(),
        amount_refused=((peak - value) * minutes * 60).filter(refused).sum(),
        headroom=value.filter(peak.is_not_null()).sum() / peak.sum(),
        regret=(value - pl.col("oracle")).clip(0).sum() / pl.col("oracle").sum(),
        limit_at_end=value.last(),
    )
    weeks = (until - since).total_seconds() / _WEEK_SECONDS
    return (
        measured.join(_moved(changes, since=since, until=until), on=KEYS, how="left")
        .with_columns(pl.col("changes", "raises", "reversals").fill_null(0))
        .with_columns(
            pl.col("headroom", "regret").fill_nan(None),
            changes_per_week=pl.col("changes") / weeks,
            largest_step=pl.col("largest_step").fill_null(0.0),
        )
        .select(OUTCOMES.names())
        .cast(OUTCOMES)
        .sort(KEYS)
    )


def _judged(
    hours: pl.DataFrame,
    *,
    start: pl.DataFrame,
    changes: pl.DataFrame,
    since: datetime,
    until: datetime,
) -> pl.DataFrame:
    """The hours with the limit that held in each, and `oracle`, what was to come."""
    at = pl.col("at")
    held = (
        hours.join(start.select(*KEYS, first="value"), on=KEYS)
        .sort("at")
        .join_asof(
            changes.sort("at").select(*KEYS, "at", value="after"),
            on="at",
            by=KEYS,
            check_sortedness=False,
        )
        .with_columns(value=pl.coalesce("value", "first"))
    )
    # The other way round in time, what was to come is what has been.
    ahead = (
        held.with_columns(back=-at.dt.epoch("s"))
        .sort(*KEYS, "back")
        .with_columns(
            oracle=pl.col("peak").rolling_max_by("back", window_size=f"{28 * 86_400}i").over(KEYS)
        )
    )
    return ahead.filter((at >= since) & (at < until)).sort(*KEYS, "at")


def _moved(changes: pl.DataFrame, *, since: datetime, until: datetime) -> pl.DataFrame:
    up = pl.col("after") > pl.col("before")
    turns = (up != up.shift().over(KEYS)).fill_null(value=False)
    return (
        changes.sort("at")
        .with_columns(up=up, turns=turns)
        .filter((pl.col("at") >= since) & (pl.col("at") < until))
        .group_by(KEYS)
        .agg(
            changes=pl.len().cast(pl.Int64),
            raises=pl.col("up").sum().cast(pl.Int64),
            reversals=pl.col("turns").sum().cast(pl.Int64),
            largest_step=(pl.col("after") / pl.col("before") - 1).abs().max(),
        )
    )
