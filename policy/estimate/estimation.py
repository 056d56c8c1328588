"""Estimate the demand on every limit of every tenant from days of peaks.

The strategy speaks first; months' ends and the hours of the week may lift what it says, growth
adds its lead, and `timeOfDayBuffers` scale the sum. No buffer is in it, nothing is rounded, and
nothing is decided: what is not known is null.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from policy.errors import ConfigError
from policy.estimate.confidence import confidence, lower, upper, widening
from policy.estimate.daily import daily
from policy.estimate.growth import lead, slopes
from policy.estimate.month_ends import month_end_peaks
from policy.estimate.quantiles import weighted_quantiles
from policy.estimate.registry import strategy
from policy.estimate.rules import EstimateRules
from policy.estimate.seasons import highest_hours
from policy.estimate.strategies import RECENT_DAYS
from policy.frames import ESTIMATES, SEASONS, empty

_KEYS: Final = ("tenant", "limit")
_PRESSED_DAYS: Final = 7


def estimate(
    days: pl.DataFrame,
    *,
    seasons: pl.DataFrame | None = None,
    rules: EstimateRules,
    now: datetime,
) -> pl.DataFrame:
    """The demand on each limit of each tenant, with all that it came from.

    Tenants do not know of each other: the frame may be handed in batch by batch.

    Args:
        days: DAYS in any order; the keys may be Categorical or Enum.
        seasons: SEASONS of the same tenants, or None when there are none.
        rules: window, strategy, spikes, growth.
        now: aware UTC.

    Returns:
        ESTIMATES, sorted; `demand` is null where every day was a blast.

    Raises:
        ConfigError: the strategy is not known or does not answer as a strategy has to.
    """
    return estimate_daily(daily(days, rules=rules, now=now), seasons=seasons, rules=rules)


def estimate_daily(
    rows: pl.DataFrame, *, seasons: pl.DataFrame | None = None, rules: EstimateRules
) -> pl.DataFrame:
    """The same from days that are in order already (DAILY, as `policy.estimate.daily` gives them).

    Raises:
        ConfigError: as above.
    """
    hours = highest_hours(
        empty(SEASONS) if seasons is None else seasons, hour_factors=rules.hour_factors
    )
    bounds = weighted_quantiles(
        rows, value="counted", weight="weight", shares={"upper": 0.95, "lower": 0.5}
    )
    facts = (
        _facts(rows)
        .join(_spoken(rows, rules=rules), on="key", how="left")
        .join(month_end_peaks(rows), on="key", how="left")
        .join(slopes(rows), on="key", how="left")
        .join(bounds, on="key", how="left")
        .join(hours, on=_KEYS, how="left")
    )
    known = confidence(full_days=rules.full_days)
    return (
        _composed(facts, rules=rules)
        .with_columns(
            event=pl.when(pl.col("event") > pl.col("demand")).then("event"),
            upper=upper(pl.col("upper")),
            lower=lower(pl.col("lower")),
            confidence=known,
            widening=widening(known),
        )
        .with_columns(
            event_counted=pl.when(pl.col("event").is_not_null()).then("event_counted"),
        )
        .select(ESTIMATES.names())
        .cast(ESTIMATES)
        .sort(_KEYS)
    )


def _composed(facts: pl.DataFrame, *, rules: EstimateRules) -> pl.DataFrame:
    """Build the demand up from the base; a part that changed nothing becomes null."""
    base, calendar, season = pl.col("base"), pl.col("calendar"), pl.col("season")
    lifted = pl.max_horizontal("base", "calendar")
    # An hour's level knows nothing of events, so it is believed up to what the days count for.
    believed = pl.min_horizontal("season", "highest")
    told = facts.with_columns(
        calendar=pl.when(calendar > base).then(calendar),
        season=pl.when(base.is_not_null() & season.is_not_null()).then(believed),
    ).with_columns(season=pl.when(season > lifted).then(season), level=lifted)
    told = told.with_columns(
        season_hour=pl.when(pl.col("season").is_not_null()).then("season_hour"),
        level=pl.when(base.is_not_null()).then(pl.max_horizontal("level", "season")),
    ).with_columns(lead=lead(demand=pl.col("level"), lead_days=rules.lead_days))
    demand = (pl.col("level") + pl.col("lead").fill_null(0.0)) * pl.col("time_factor").fill_null(1)
    return told.with_columns(
        slope=pl.when(pl.col("lead").is_not_null()).then("slope"),
        time_factor=pl.when(pl.col("time_factor") != 1).then("time_factor"),
        demand=demand,
    )


def _facts(rows: pl.DataFrame) -> pl.DataFrame:
    """What the days say by themselves: one row per key, in order."""
    counted, age = pl.col("counted"), pl.col("age")
    recent = age < RECENT_DAYS
    lately_held_down = pl.col("event") & recent
    pressed = pl.col("pressure") > 0
    marked = rows.select(
        "key",
        *_KEYS,
        "sustained",
        "points",
        "hours",
        "coverage",
        "last_at",
        "counted",
        recent=pl.when(recent).then(counted),
        event=pl.when(lately_held_down).then("peak"),
        event_counted=pl.when(lately_held_down).then(counted),
        pressure=pl.when(age <= _PRESSED_DAYS).then("pressure"),
        pressed_days_ago=pl.when(pressed).then(age),
    )
    facts = marked.group_by("key", maintain_order=True).agg(
        pl.col(_KEYS).first(),
        pl.col("sustained").drop_nulls().last(),
        pl.col("points", "hours").sum(),
        pl.col("coverage").mean(),
        pl.col("last_at", "recent", "event", "event_counted", "pressure").max(),
        pl.col("pressed_days_ago").min(),
        highest=counted.max(),
        days=counted.count(),
    )
    return facts.with_columns(pl.col(_KEYS).cast(pl.String))


def _spoken(rows: pl.DataFrame, *, rules: EstimateRules) -> pl.DataFrame:
    """The strategy's answer: key, base, because, parts.

    Raises:
        ConfigError: it is no answer of a strategy.
    """
    answer = strategy(rules.strategy).demand(rows, rules=rules)
    if missing := {"key", "demand", "because"} - set(answer.columns):
        raise _broken(rules, f"its answer has no column {', '.join(sorted(missing))}")
    if answer["key"].is_duplicated().any():
        raise _broken(rules, "it answers twice for one tenant and limit")
    parts = [name for name in answer.columns if name not in {"key", "demand", "because"}]
    if strange := [name for name in ("demand", *parts) if not answer[name].dtype.is_numeric()]:
        raise _broken(rules, f"its column {strange[0]} does not hold numbers")
    if not answer.filter(~pl.col("demand").is_finite() | (pl.col("demand") < 0)).is_empty():
        raise _broken(rules, "it gives a demand that is negative or not finite")
    told = pl.struct(parts).struct.json_encode() if parts else pl.lit("{}")
    return answer.select(
        pl.col("key").cast(pl.UInt32),
        pl.col("because").cast(pl.String),
        base=pl.col("demand").cast(pl.Float64),
        parts=told,
    )


def _broken(rules: EstimateRules, what: str) -> ConfigError:
    return ConfigError(
        f"trendAnalysis.strategy: {rules.strategy!r} is broken: {what}; use another one"
    )
