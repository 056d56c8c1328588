"""Turn a target into an outcome: raise, lower, hold, or withheld with the reason.

The first gate that does not open names the reason. Gates on the evidence come before those
on the direction, so that no direction is claimed on evidence that is not believed; what an
operator left to people comes last, so that it is said what would have been done.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.activity import GONE, IDLE
from policy.frames import UTC_TIME
from policy.gate_words import detail
from policy.layers import bounded
from policy.rules import Rules
from policy.signals import INGESTION_BURST_SIZE
from policy.sizing import round_up

WITHHELD: Final = (
    "unknown_current",
    "pinned",
    "unlimited",
    "blocked",
    GONE,
    IDLE,
    "no_data",
    "short_history",
    "stale",
    "in_blast",
    "only_raised",
    "under_pressure",
    "believable",
    "little_confidence",
    "raised_lately",
    "ring_changed",
    "degraded",
    "cooling_down",
    "partial_coverage",
    "bound_below_peak",
    "flapping",
    "waiting_to_agree",
    "only_up",
    "only_down",
    "observed",
    "recommended",
    "frozen",
    "backtest_needed",
    "canary_first",
)
MODES_THAT_MOVE: Final = ("auto", "canary")
MODES_THAT_WAIT: Final = {"observe": "observed", "recommend": "recommended", "frozen": "frozen"}

_SLACK: Final = 1e-9
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
# There, what is not known keeps the gate shut.
_UNPROVEN: Final = frozenset({"no_data", "short_history", "partial_coverage"})


def outcomes(
    rows: pl.DataFrame,
    *,
    in_blast: Collection[str],
    coverage: float,
    ingesters_changed_at: datetime | None,
    rules: Rules,
    now: datetime,
) -> pl.DataFrame:
    """Add outcome, reason, detail, after, `lowered` and `raised` (the target after the step limit).

    Args:
        rows: what `policy.sizing` gives, with what ESTIMATES, MOVES, LEANINGS, MODES and STATES
            say of each, changed_at, the pins and rate.
        in_blast: tenants that may not be raised.
        coverage: pods answered / pods known of this run, 0..1.
        ingesters_changed_at: when their number last changed, or None.
        rules: dead bands, steps, history that is believed.
        now: aware UTC.

    Returns:
        The rows with these columns, and `falls`: whether the evidence points downwards.
    """
    before, target = pl.col("before"), pl.col("target")
    within = bounded(before, bounds=rules.bounds)
    down = round_up(before * (1 - rules.max_lower_step))
    up = pl.max_horizontal(round_up(before * (1 + rules.max_raise_step)), within, "rate")
    lowered = bounded(pl.max_horizontal(target, down), bounds=rules.bounds)
    raised = bounded(pl.min_horizontal(target, up), bounds=rules.bounds)
    # A burst below its rate refuses what the rate allows, however near it is.
    too_small = (before < within) | (before < pl.col("rate"))

    rows = rows.with_columns(
        lowered=lowered,
        raised=raised,
        seen=pl.when(pl.col("coverage").is_not_null()).then(
            pl.min_horizontal("coverage", pl.lit(coverage))
        ),
        rises=(
            (target > before)
            & ((target > before * (1 + rules.raise_band)) | too_small.fill_null(value=False))
        ).fill_null(value=False),
        falls=(
            ((target < before * (1 - rules.lower_band)) | (before > within)) & (lowered < before)
        ).fill_null(value=False),
    )
    doublings = pl.col("reverts").fill_null(0).clip(0, rules.most_doublings)
    rows = rows.with_columns(
        cooldown=pl.lit(rules.lower_cooldown) * pl.lit(2).pow(doublings),
        ring_changed_at=pl.lit(ingesters_changed_at, dtype=UTC_TIME),
    )
    rows = rows.with_columns(reason=_withheld(in_blast, coverage=coverage, rules=rules, now=now))
    rows = rows.with_columns(
        outcome=pl.when(pl.col("reason").is_not_null())
        .then(pl.lit("withheld"))
        .when("rises")
        .then(pl.lit("raise"))
        .when("falls")
        .then(pl.lit("lower"))
        .otherwise(pl.lit("hold"))
    )
    outcome = pl.col("outcome")
    return rows.with_columns(
        reason=pl.coalesce("reason", _taken(rules)),
        detail=detail(rules, now=now),
        after=pl.when(outcome == "raise")
        .then("raised")
        .when(outcome == "lower")
        .then("lowered")
        .otherwise("before"),
    )


def _withheld(
    in_blast: Collection[str], *, coverage: float, rules: Rules, now: datetime
) -> pl.Expr:
    """The name of the first gate that stays shut, or null."""
    # A limit above its hard maximum comes down to it whatever the evidence says.
    above_maximum = pl.col("before") > bounded(pl.col("before"), bounds=rules.bounds)
    shut = {
        **_not_believed(rules, now=now),
        "in_blast": pl.col("rises") & pl.col("tenant").is_in(list(in_blast)),
        **_not_lowered(rules, coverage=coverage, above_maximum=above_maximum, now=now),
        **_left_to_people(rules),
    }
    return pl.coalesce(
        pl.when(is_shut.fill_null(value=name in _UNPROVEN)).then(pl.lit(name))
        for name, is_shut in shut.items()
    )


def _not_believed(rules: Rules, *, now: datetime) -> dict[str, pl.Expr]:
    """Gates on what is known of the limit and its demand."""
    zero = pl.min_horizontal("before", "rate") <= 0
    endless = (pl.col("before") == 0) & pl.col("limit").is_in(list(rules.bounds.endless))
    burst = pl.col("limit") == INGESTION_BURST_SIZE
    no_demand = pl.col("last_at").is_null() | ~(pl.col("points") > 0)
    return {
        "unknown_current": pl.col("before").is_null() | (burst & pl.col("rate").is_null()),
        "pinned": pl.col("pinned_value").is_not_null(),
        "unlimited": endless,
        "blocked": zero,
        GONE: pl.col("state") == GONE,
        IDLE: (pl.col("state") == IDLE) & ~pl.col("rises"),
        "no_data": no_demand | pl.col("target").is_null() | (~burst & ~(pl.col("demand") > 0)),
        "short_history": ~(pl.col("hours") >= rules.min_history / _HOUR),
        "stale": pl.col("last_at") < now - rules.stale_after,
    }


def _not_lowered(
    rules: Rules, *, coverage: float, above_maximum: pl.Expr, now: datetime
) -> dict[str, pl.Expr]:
    """Gates on a lowering: all must be open."""
    falls = pl.col("falls")
    of_its_own = falls & ~above_maximum
    only_raised = [name for name in rules.limits if rules.catalogue[name].only_raised]
    quiet_days = rules.quiet_before_lowering / _DAY
    # One missed look in a window of two days proves little; one missed just now, that a process
    # is gone whose share of the demand nobody sees.
    shown_in_part = pl.lit(coverage < 1) | ~(pl.col("seen") >= rules.min_coverage)
    return {
        "only_raised": of_its_own & pl.col("limit").is_in(only_raised),
        "under_pressure": falls & (pl.col("pressed_days_ago") <= quiet_days),
        "believable": of_its_own & (pl.col("before") <= pl.col("upper") * pl.col("buffer")),
        "little_confidence": of_its_own & (pl.col("confidence") < rules.min_confidence - _SLACK),
        "raised_lately": of_its_own & (pl.col("raised_at") > now - rules.quiet_before_lowering),
        "ring_changed": of_its_own & (pl.col("ring_changed_at") > now - rules.ring_settled),
        "degraded": of_its_own & (pl.col("failed") >= rules.degraded_from),
        "cooling_down": falls & (pl.col("changed_at") > now - pl.col("cooldown")),
        "partial_coverage": falls & shown_in_part,
        "bound_below_peak": falls & (pl.col("lowered") < pl.col("floor") * (1 - _SLACK)),
        "waiting_to_agree": of_its_own & (pl.col("runs").fill_null(0) + 1 < rules.agreeing_runs),
    }


def _left_to_people(rules: Rules) -> dict[str, pl.Expr]:
    """Gates that an operator shut, and the one that shuts itself when a limit flaps."""
    rises, falls = pl.col("rises"), pl.col("falls")
    moves = rises | falls
    return {
        "flapping": moves & (pl.col("reversals") > rules.max_reversals),
        "only_up": falls & (pl.col("directions") == "up"),
        "only_down": rises & (pl.col("directions") == "down"),
        **{reason: moves & (pl.col("mode") == mode) for mode, reason in MODES_THAT_WAIT.items()},
        "backtest_needed": moves
        & pl.col("mode").is_in(MODES_THAT_MOVE)
        & pl.col("unproven").is_not_null(),
        "canary_first": moves
        & (pl.col("mode") == "canary")
        & ~pl.col("first")
        & ~pl.col("canary_proven"),
    }


def _taken(rules: Rules) -> pl.Expr:
    within = bounded(pl.col("before"), bounds=rules.bounds)
    outcome = pl.col("outcome")
    return (
        pl.when((outcome == "raise") & (pl.col("before") < within))
        .then(pl.lit("below_minimum"))
        .when(outcome == "raise")
        .then(pl.lit("above_dead_band"))
        .when((outcome == "lower") & (pl.col("before") > within))
        .then(pl.lit("above_maximum"))
        .when(outcome == "lower")
        .then(pl.lit("below_dead_band"))
        .otherwise(pl.lit("within_dead_band"))
    )
