"""Turn a target into an outcome: raise, lower, hold, or withheld with the reason.

The first gate that does not open names the reason. Gates on the evidence come before those
on the direction, so that no direction is claimed on evidence that is not believed.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.activity import GONE, IDLE
from policy.catalogue import blocked_at_zero
from policy.figures import TIMES, grouped
from policy.layers import bounded
from policy.rules import Rules
from policy.signals import INGESTION_BURST_SIZE, SIZED
from policy.sizing import round_up

WITHHELD: Final = (
    "unknown_current",
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
    "cooling_down",
    "partial_coverage",
    "bound_below_peak",
)

_SLACK: Final = 1e-9
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)


def outcomes(
    rows: pl.DataFrame,
    *,
    in_blast: Collection[str],
    coverage: float,
    rules: Rules,
    now: datetime,
) -> pl.DataFrame:
    """Add outcome, reason, detail, after and `lowered` (the target after the step limit).

    Args:
        rows: what `policy.sizing` gives, with before, points, hours, last_at, coverage,
            pressure, changed_at, state and rate.
        in_blast: tenants that may not be raised.
        coverage: pods answered / pods known of this run, 0..1.
        rules: dead bands, steps, history that is believed.
        now: aware UTC.
    """
    before, target = pl.col("before"), pl.col("target")
    within = bounded(before, bounds=rules.bounds)
    step = round_up(before * (1 - rules.max_lower_step))
    lowered = bounded(pl.max_horizontal(target, step), bounds=rules.bounds)
    # A burst below its rate refuses what the rate allows, however near it is.
    too_small = (before < within) | (before < pl.col("rate"))

    rows = rows.with_columns(
        lowered=lowered,
        seen=pl.when(pl.col("coverage").is_not_null()).then(
            pl.min_horizontal("coverage", pl.lit(coverage))
        ),
        rises=(target > before)
        & ((target > before * (1 + rules.raise_band)) | too_small.fill_null(value=False)),
        falls=((target < before * (1 - rules.lower_band)) | (before > within)) & (lowered < before),
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
        detail=_detail(rules, now=now),
        after=pl.when(outcome == "raise")
        .then("target")
        .when(outcome == "lower")
        .then("lowered")
        .otherwise("before"),
    )


def _withheld(
    in_blast: Collection[str], *, coverage: float, rules: Rules, now: datetime
) -> pl.Expr:
    """The name of the first gate that stays shut, or null."""
    rises, falls = pl.col("rises"), pl.col("falls")
    zero = pl.min_horizontal("before", "rate") <= 0
    endless = (pl.col("before") == 0) & pl.col("limit").is_in(list(rules.bounds.endless))
    burst = pl.col("limit") == INGESTION_BURST_SIZE
    only_raised = [name for name in rules.limits if rules.catalogue[name].only_raised]
    above_maximum = pl.col("before") > bounded(pl.col("before"), bounds=rules.bounds)
    no_demand = pl.col("last_at").is_null() | ~(pl.col("points") > 0)

    # One missed look in a window of two days proves little; one missed just now, that a process
    # is gone whose share of the demand nobody sees.
    shown_in_part = pl.lit(coverage < 1) | ~(pl.col("seen") >= rules.min_coverage)

    shut = {
        "unknown_current": pl.col("before").is_null() | (burst & pl.col("rate").is_null()),
        "unlimited": endless,
        "blocked": zero,
        GONE: pl.col("state") == GONE,
        IDLE: (pl.col("state") == IDLE) & ~rises,
        "no_data": no_demand | pl.col("target").is_null() | (~burst & ~(pl.col("peak") > 0)),
        "short_history": ~(pl.col("hours") >= rules.min_history / _HOUR),
        "stale": pl.col("last_at") < now - rules.stale_after,
        "in_blast": rises & pl.col("tenant").is_in(list(in_blast)),
        "only_raised": falls & pl.col("limit").is_in(only_raised) & ~above_maximum,
        "under_pressure": falls & (pl.col("pressure") > 0),
        "cooling_down": falls & (pl.col("changed_at") > now - rules.lower_cooldown),
        "partial_coverage": falls & shown_in_part,
        "bound_below_peak": falls & (pl.col("lowered") < pl.col("floor") * (1 - _SLACK)),
    }
    unproven = {
        "no_data",
        "short_history",
        "partial_coverage",
    }  # there, what is not known keeps the gate shut
    return pl.coalesce(
        pl.when(is_shut.fill_null(value=name in unproven)).then(pl.lit(name))
        for name, is_shut in shut.items()
    )


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


def _detail(rules: Rules, *, now: datetime) -> pl.Expr:
    """One sentence; the words are those of the first that fits."""
    by_reason = pl.col("reason")
    by_outcome = pl.col("outcome")
    held_back = pl.col("lowered") > pl.col("target")
    step = pl.when(held_back).then(
        pl.lit(f", at most {rules.max_lower_step * 100:g} % lower at once")
    )
    held = pl.concat_str(
        pl.lit("the target of "),
        grouped(pl.col("target")),
        pl.lit(" is too near to change it: "),
        pl.col("basis"),
    )
    lowered = pl.concat_str("basis", step.otherwise(pl.lit("")))
    spoken = [
        pl.when(by_reason == reason).then(why) for reason, why in _sentences(rules, now=now).items()
    ]
    return pl.coalesce(
        *spoken,
        pl.when(by_outcome == "raise").then("basis"),
        pl.when(by_outcome == "lower").then(lowered),
        pl.when(by_outcome == "hold").then(held),
    )


def _sentences(rules: Rules, *, now: datetime) -> dict[str, pl.Expr]:
    """What each shut gate says."""
    target, hours = grouped(pl.col("target")), grouped(pl.col("hours"))
    needed = f"{rules.min_history / _HOUR:g}"
    minutes = ((pl.lit(now) - pl.col("last_at")) / _MINUTE).floor()
    percent = grouped((pl.col("seen") * 100).floor())
    answered = pl.when(pl.col("coverage").is_null()).then(
        pl.lit("it is not known how many pods answered, so the limit is not lowered")
    )
    return {
        "unknown_current": pl.lit("the limit in force is not known"),
        "unlimited": pl.lit("the limit is 0, which means unlimited, and stays so"),
        "blocked": pl.when(pl.col("limit").is_in(list(blocked_at_zero(rules.catalogue))))
        .then(pl.lit("the limit or its rate is 0, which blocks the tenant, and stays so"))
        .otherwise(pl.lit("the limit is 0, which switches it off, and stays so")),
        GONE: pl.lit("the tenant is gone: it was on no page for longer than goneAfter"),
        IDLE: pl.lit("the tenant is idle: no demand for longer than inactiveAfter"),
        "no_data": pl.lit("no demand was measured in the window"),
        "short_history": pl.concat_str(hours, pl.lit(f" h of history; {needed} h are needed")),
        "stale": pl.concat_str(
            pl.lit("the newest measurement is "), grouped(minutes), pl.lit(" minutes old")
        ),
        "in_blast": pl.concat_str(
            pl.lit("the tenant is in a blast, so the limit is not raised to "), target
        ),
        "only_raised": pl.concat_str(
            pl.lit("what was seen is the least that is needed and not the most, so it is not "),
            pl.lit("lowered to "),
            target,
        ),
        "under_pressure": pl.concat_str(
            pl.when(pl.col("limit").is_in(SIZED))
            .then(pl.lit("samples are"))
            .otherwise(pl.lit("something is")),
            pl.lit(" refused for want of this limit ("),
            grouped(pl.col("pressure")),
            pl.lit("/s), so it is not lowered to "),
            target,
        ),
        "cooling_down": pl.concat_str(
            pl.lit("changed "),
            grouped(((pl.lit(now) - pl.col("changed_at")) / _HOUR).floor()),
            pl.lit(" h ago; lowered to "),
            target,
            pl.lit(f" step by step, one every {rules.lower_cooldown / _HOUR:g} h"),
        ),
        "partial_coverage": answered.otherwise(
            pl.concat_str(
                pl.lit("only "), percent, pl.lit(" % of the pods answered; not lowered to "), target
            )
        ),
        "bound_below_peak": pl.concat_str(
            pl.lit("the maximum of "),
            target,
            pl.lit(f" is below {rules.floor_factor:g} {TIMES} the peak"),
        ),
    }
