"""Walk forward over a stored past and decide, at each moment, as production would have.

Estimating and deciding are the production code itself; tenants are judged by themselves, so
neither the run budget nor the capacity of the cluster holds anything back, every limit changes by
itself, and every look counts as whole. What is refused at a limit is pressure on it from then on.

All moments of a day are decided at once, as if each were a tenant of its own: times are moved so
that one `now` fits all of them. What was decided after a tenant's first change is decided again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from policy.backtest_known import DAY, HOUR, KEYS, Known
from policy.backtest_standing import MOMENTS, Standing, moments_of_day
from policy.estimate import EstimateRules, estimate
from policy.evidence import Evidence, Recommended
from policy.frames import ESTIMATES, LIMITS, UTC_TIME
from policy.leanings import LEANINGS
from policy.recommend import recommend
from policy.rules import Rules

_WITHOUT_BUDGET: Final = 2**31
_NAMED: Final = 2  # characters of the hour before a tenant's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A policy that is tried on the past.

    Attributes:
        name: what it is called.
        rules: how a limit follows from demand.
        estimating: how demand follows from history.
        reversal_window: how long a change of direction is remembered.
        seasons: whether what is usual in each hour of the week counts.
    """

    name: str
    rules: Rules
    estimating: EstimateRules
    reversal_window: timedelta = timedelta(days=14)
    seasons: bool = True


def walk(
    known: Known,
    *,
    start: pl.DataFrame,
    candidate: Candidate,
    begin: datetime,
    end: datetime,
    every: timedelta = HOUR,
) -> pl.DataFrame:
    """Every change that the candidate makes.

    Args:
        known: the past.
        start: LIMITS that stand at `begin`; a limit without one is not decided.
        candidate: the policy.
        begin: the first moment that is decided, a whole hour, aware UTC.
        end: the moment after the last.
        every: from one decision to the next, whole hours.

    Returns:
        CHANGED_LIMITS, in the order of time.
    """
    rules = _apart(candidate.rules, tenants=start["tenant"].unique())
    standing = Standing.of(start, at=begin)
    tenants = start.select("tenant").unique(maintain_order=True)
    by_day = known.hours.with_columns(day=pl.col("at").dt.date()).partition_by(
        "day", as_dict=True, include_key=False
    )
    nothing = known.hours.clear()
    day = datetime(begin.year, begin.month, begin.day, tzinfo=UTC)
    while day < end:
        hours = by_day.get((day.date(),), nothing)
        moments = moments_of_day(day, begin=begin, end=end, every=every)
        if moments:
            scene = _Scene(
                estimates=_estimates(known, moments, candidate=candidate),
                hours=hours,
                blasting=_blasting(known, moments),
                now=moments[-1],
                rules=rules,
                reversal_window=candidate.reversal_window,
            )
            left = tenants.join(_times(moments), how="cross").cast(MOMENTS)
            while not left.is_empty():
                left = _decide_on(scene, standing=standing, moments=left)
        standing.end_day(hours)
        day += DAY
    return standing.changes.sort("at", *KEYS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scene:
    """One day: ESTIMATES and blasting tenants with moment, HOURS; `now` is its last moment."""

    estimates: pl.DataFrame
    hours: pl.DataFrame
    blasting: pl.DataFrame
    now: datetime
    rules: Rules
    reversal_window: timedelta


def _decide_on(scene: _Scene, *, standing: Standing, moments: pl.DataFrame) -> pl.DataFrame:
    """Decide these MOMENTS, apply each tenant's first change; the moments that come after it."""
    carried = standing.limits.join(moments, on="tenant").select(*KEYS, "moment", "runs")
    alone = _recommended(scene, standing=standing, moments=moments, runs=carried.clear())
    falls = _spread(alone.leanings, now=scene.now)
    found = alone
    if scene.rules.agreeing_runs > 1 and not falls.is_empty():
        runs = _runs_before(carried, falls=falls)
        found = _recommended(scene, standing=standing, moments=moments, runs=runs)
    moved = found.decisions.filter(pl.col("outcome").is_in(["raise", "lower"]))
    changed = _spread(moved, now=scene.now)
    first = (
        moments.group_by("tenant")
        .agg(last=pl.col("moment").max())
        .join(changed.group_by("tenant").agg(first=pl.col("moment").min()), on="tenant", how="left")
        .select("tenant", moment=pl.coalesce("first", "last"))
    )
    settled = (
        carried.drop("runs")
        .join(first, on=["tenant", "moment"])
        .join(changed.select(*KEYS, "moment", "after"), on=[*KEYS, "moment"], how="left")
        .join(_spread(found.leanings, now=scene.now), on=[*KEYS, "moment"], how="left")
        .with_columns(pl.col("runs").fill_null(0))
    )
    standing.apply(settled, hours=scene.hours)
    return (
        moments.join(first, on="tenant", suffix="_settled")
        .filter(pl.col("moment") > pl.col("moment_settled"))
        .select(MOMENTS.names())
    )


def _recommended(
    scene: _Scene, *, standing: Standing, moments: pl.DataFrame, runs: pl.DataFrame
) -> Recommended:
    """What is recommended at each of the moments while the limits stay as they stand."""
    late = pl.lit(scene.now).cast(UTC_TIME) - pl.col("moment")
    estimates = (
        scene.estimates.join(moments, on=["tenant", "moment"])
        .drop("pressed_days_ago")
        .join(standing.pressed(scene.hours, moments), on=[*KEYS, "moment"], how="left")
        .with_columns(last_at=pl.col("last_at") + late)
    )
    current = standing.limits.select(LIMITS.names()).join(moments, on="tenant")
    moves = standing.moves(moments, window=scene.reversal_window).with_columns(
        pl.col("raised_at", "lowered_at") + late
    )
    changed = (
        standing.changed()
        .join(moments, on="tenant")
        .with_columns(changed_at=pl.col("changed_at") + late)
    )
    blasting = _gathered(scene.blasting.join(moments, on=["tenant", "moment"]))
    evidence = Evidence(
        estimates=_gathered(estimates).select(ESTIMATES.names()),
        current=_gathered(current),
        coverage=1.0,
        in_blast=blasting["tenant"].to_list(),
        changed=_gathered(changed),
        moves=_gathered(moves),
        leanings=_gathered(runs).select(LEANINGS.names()),
    )
    return recommend(evidence, rules=scene.rules, now=scene.now)


def _runs_before(carried: pl.DataFrame, *, falls: pl.DataFrame) -> pl.DataFrame:
    """KEYS, moment, runs: how many evaluations in a row before each found the limit too high.

    Args:
        carried: KEYS, moment, and the runs before the first of these moments.
        falls: KEYS, moment where it is found too high.
    """
    marked = carried.join(
        falls.select(*KEYS, "moment", falls=pl.lit(value=True)), on=[*KEYS, "moment"], how="left"
    ).sort(*KEYS, "moment")
    fell = pl.col("falls").fill_null(value=False)
    row = marked.with_columns(falls=fell, block=(~fell).cum_sum().over(KEYS))
    in_row = pl.col("falls").cum_sum().over(*KEYS, "block").cast(pl.Int64)
    since = row.with_columns(upto=in_row + pl.when(pl.col("block") == 0).then("runs").otherwise(0))
    before = pl.coalesce(pl.col("upto").shift().over(KEYS), "runs")
    return since.select(*KEYS, "moment", runs=before).filter(pl.col("runs") > 0)


def _estimates(known: Known, moments: Sequence[datetime], *, candidate: Candidate) -> pl.DataFrame:
    """ESTIMATES at each of the moments, with `moment`."""
    rules = candidate.estimating
    cells = known.cells(moments) if candidate.seasons else None
    found = estimate(
        _gathered(known.days(moments, window=rules.window)),
        seasons=None if cells is None else _gathered(cells),
        rules=rules,
        # Of the moment only the date counts, and they share it.
        now=moments[-1],
    )
    return _spread(found, now=moments[-1])


def _blasting(known: Known, moments: Sequence[datetime]) -> pl.DataFrame:
    """MOMENTS at which the hour before was a blast of the tenant's."""
    spoilt = pl.col("peak").is_null() | (pl.col("highest") > pl.col("peak"))
    ended = known.hours.filter(spoilt & pl.col("at").is_in([each - HOUR for each in moments]))
    return ended.select("tenant", moment=pl.col("at") + HOUR).unique()


def _gathered(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with one tenant for each tenant and moment."""
    hour = pl.col("moment").dt.to_string("%H")
    return rows.with_columns(tenant=pl.concat_str(hour, "tenant")).drop("moment")


def _spread(rows: pl.DataFrame, *, now: datetime) -> pl.DataFrame:
    """What `_gathered` put together, apart again: tenant and moment, of the day of `now`."""
    hour = pl.col("tenant").str.slice(0, _NAMED).cast(pl.Int64)
    midnight = pl.lit(now.replace(hour=0)).cast(UTC_TIME)
    return rows.with_columns(
        tenant=pl.col("tenant").str.slice(_NAMED),
        moment=midnight + pl.duration(hours=hour),
    )


def _apart(rules: Rules, *, tenants: pl.Series) -> Rules:
    """The rules for tenants as `_gathered` names them, without a budget for all."""
    buffers = rules.buffer_by_tenant
    return replace(
        rules,
        max_changes=_WITHOUT_BUDGET,
        buffer_by_tenant={
            f"{hour:02}{tenant}": buffers[tenant]
            for tenant in tenants
            if tenant in buffers
            for hour in range(DAY // HOUR)
        },
    )


def _times(moments: Sequence[datetime]) -> pl.DataFrame:
    return pl.DataFrame({"moment": list(moments)}, schema={"moment": UTC_TIME})
