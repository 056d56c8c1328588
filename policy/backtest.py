"""Replay the stored past through a policy, and say whether it may be left to itself.

Each hour is decided with what was known when it began, by the code that decides in production,
and then compared with what was asked for in it. In production a limit is decided more often than
once an hour, so a backtest tells of more refusals than there would have been.

What is not in the history cannot be told: series that were refused then were never counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.backtest_known import DAY, HOUR, KEYS, known
from policy.backtest_measure import outcomes_of
from policy.backtest_walk import Candidate, walk
from policy.errors import ConfigError
from policy.figures import figure
from policy.frames import LIMITS

_LEAST_DAYS: Final = 28
_MOST_REFUSED: Final = 0.0001  # of all minutes
_MOST_CHANGES: Final = 1.0  # a week, of nine tenants in ten
_MINUTES_OF_HOUR: Final = 60
_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What a policy came to over all tenants.

    Attributes:
        candidate: the name of the policy.
        days: that were judged.
        tenants: with data.
        limits: tenants times limits with data.
        hours_refused: in which more was asked for than the limit; no blasts.
        refused_share: of all minutes of all limits, at most.
        headroom: the mean headroom that half of the limits have at most; None without demand. A
            mean of all would tell of tenants that send next to nothing.
        changes_per_week: of a limit, the mean.
        changes_per_week_p90: moments at which something of a tenant changed, a week, of nine
            tenants in ten.
        reversals: of direction, of all limits.
        largest_step: as a fraction of the limit before.
        regret: the mean share by which limits were above what hindsight would have set.
    """

    candidate: str
    days: float
    tenants: int
    limits: int
    hours_refused: int
    refused_share: float
    headroom: float | None
    changes_per_week: float
    changes_per_week_p90: float
    reversals: int
    largest_step: float
    regret: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a policy may change limits by itself, and what stands against it."""

    passed: bool
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Result:
    """What a policy came to.

    Attributes:
        outcomes: OUTCOMES.
        changes: CHANGED_LIMITS that were judged.
        totals: over all of them.
    """

    outcomes: pl.DataFrame
    changes: pl.DataFrame
    totals: Totals


def backtest(
    hours: pl.DataFrame,
    *,
    start: pl.DataFrame,
    candidate: Candidate,
    begin: datetime,
    end: datetime,
    since: datetime | None = None,
    every: timedelta = HOUR,
) -> Result:
    """Walk through the past and judge what came of it.

    Args:
        hours: HOURS, also those before `begin`: what was known then. A hundred tenants at once
            take some 300 MB.
        start: LIMITS of the tenants at `begin`; where one is missing, the policy's default for
            the limit; without that, or where it is 0, it is not judged.
        candidate: the policy.
        begin: the first moment that is decided.
        end: the moment after the last.
        since: what was before is decided and not judged; None is `begin`.
        every: from one decision to the next.

    Raises:
        ConfigError: the span or the step makes no sense.
    """
    since = since or begin
    _refuse_times(begin=begin, since=since, end=end, every=every)
    stands = _complete(start, hours=hours, candidate=candidate)
    past = known(hours, with_seasons=candidate.seasons)
    changes = walk(past, start=stands, candidate=candidate, begin=begin, end=end, every=every)
    outcomes = outcomes_of(past.hours, start=stands, changes=changes, since=since, until=end)
    judged = changes.filter(pl.col("at") >= since)
    return Result(
        outcomes=outcomes,
        changes=judged,
        totals=totals(outcomes, changes=judged, candidate=candidate.name, span=end - since),
    )


def together(results: Sequence[Result]) -> Result:
    """What one policy came to on several groups of tenants, as one result.

    Args:
        results: of the same policy and time, one at least.
    """
    outcomes = pl.concat(result.outcomes for result in results)
    changes = pl.concat(result.changes for result in results)
    one = results[0].totals
    return Result(
        outcomes=outcomes,
        changes=changes,
        totals=totals(outcomes, changes=changes, candidate=one.candidate, span=one.days * DAY),
    )


def totals(
    outcomes: pl.DataFrame, *, changes: pl.DataFrame, candidate: str, span: timedelta
) -> Totals:
    """The outcomes of all limits together.

    Args:
        outcomes: OUTCOMES.
        changes: CHANGED_LIMITS of the span.
        candidate: the name of the policy.
        span: that was judged.
    """
    tenants = outcomes.select("tenant").unique()
    moments = changes.group_by("tenant").agg(moments=pl.col("at").n_unique())
    rates = tenants.join(moments, on="tenant", how="left").select(
        pl.col("moments").fill_null(0) / (span / _WEEK)
    )["moments"]
    minutes = int(outcomes["hours"].sum()) * _MINUTES_OF_HOUR
    return Totals(
        candidate=candidate,
        days=span / DAY,
        tenants=tenants.height,
        limits=outcomes.height,
        hours_refused=int(outcomes["hours_refused"].sum()),
        refused_share=float(outcomes["minutes_refused"].sum()) / minutes if minutes else 0.0,
        headroom=_median(outcomes, "headroom"),
        changes_per_week=_mean(outcomes, "changes_per_week") or 0.0,
        changes_per_week_p90=float(rates.quantile(0.9, "higher") or 0.0),
        reversals=int(outcomes["reversals"].sum()),
        largest_step=_most(outcomes, "largest_step"),
        regret=_mean(outcomes, "regret"),
    )


def gate(found: Totals) -> Verdict:
    """Whether the policy may change limits by itself, going by what it came to."""
    why = []
    if not found.limits:
        why.append("nothing was judged: there is no history of the demand on any limit")
    if found.days < _LEAST_DAYS:
        why.append(f"{figure(found.days)} days were judged, and {_LEAST_DAYS} are needed")
    if found.refused_share > _MOST_REFUSED:
        why.append(
            f"{found.refused_share * 100:.3f} % of the time more was asked for than the limit, and "
            f"{_MOST_REFUSED * 100:g} % may be"
        )
    if found.changes_per_week_p90 > _MOST_CHANGES:
        why.append(
            f"one tenant in ten is changed {figure(found.changes_per_week_p90)} times a week or "
            f"more often, and {_MOST_CHANGES:g} is the most"
        )
    return Verdict(passed=not why, why=tuple(why))


def _refuse_times(*, begin: datetime, since: datetime, end: datetime, every: timedelta) -> None:
    if not begin <= since < end:
        raise ConfigError("a backtest must judge some time between its begin and its end")
    if begin.minute or begin.second or begin.microsecond:
        raise ConfigError(f"a backtest begins at a whole hour, and {begin} is none")
    if every < HOUR or every % HOUR:
        raise ConfigError(f"a backtest decides every whole number of hours, and {every} is none")


def _complete(start: pl.DataFrame, *, hours: pl.DataFrame, candidate: Candidate) -> pl.DataFrame:
    """LIMITS of every tenant and limit that is decided and has data, as far as they are known."""
    rules = candidate.rules
    assumed = pl.col("limit").replace_strict(
        {name: float(value) for name, value in rules.default_limits.items()},
        default=None,
        return_dtype=pl.Float64,
    )
    judged = hours.filter(pl.col("limit").is_in(list(rules.limits))).select(KEYS).unique()
    return (
        judged.join(start, on=KEYS, how="left")
        .with_columns(value=pl.coalesce("value", assumed))
        # A 0 is somebody's word, unlimited or blocking: nothing is decided there.
        .filter(pl.col("value") > 0)
        .select(LIMITS.names())
        .sort(KEYS)
    )


def _mean(outcomes: pl.DataFrame, name: str) -> float | None:
    found = outcomes[name].mean()
    return None if found is None else float(found)  # type: ignore[arg-type]


def _median(outcomes: pl.DataFrame, name: str) -> float | None:
    found = outcomes[name].median()
    return None if found is None else float(found)  # type: ignore[arg-type]


def _most(outcomes: pl.DataFrame, name: str) -> float:
    found = outcomes[name].max()
    return 0.0 if found is None else float(found)  # type: ignore[arg-type]
