"""How each limit stands: what it is and should be, how full, how likely it is hit, how bad that is.

A standing judges the limit in force, whoever set it, by the demand that was measured. It changes
nothing. A limit that is 0 was set so by somebody, and one whose demand nobody measured cannot be
judged: both are `unknown`, never fine.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from policy.activity import GONE
from policy.frames import UTC_TIME
from policy.movement import RUN_BUDGET
from policy.rules import Rules

# `recommended` what the evidence asks for, null for want of data; `proposed` what a run would set
# next, also one that leaves it to people, null where it would leave the limit alone; `ample` what
# the demand may still turn out to be, with the buffer.
TARGETS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "recommended": pl.Float64(),
        "proposed": pl.Float64(),
        "ample": pl.Float64(),
    }
)

# One row per tenant and limit. `value` the limit in force, null where unknown; `demand`, `recent`,
# `lower`, `upper`, `confidence`, `pressed_days_ago` as in ESTIMATES; `utilisation`,
# `hit_probability`, `hit_days` as in RISKS; `severity` one of SEVERITIES; `provision` is over |
# under | fits, null where nothing is recommended or in force.
STANDINGS: Final = pl.Schema(
    {
        "at": UTC_TIME,
        "tenant": pl.String(),
        "limit": pl.String(),
        "value": pl.Float64(),
        "recommended": pl.Float64(),
        "proposed": pl.Float64(),
        "demand": pl.Float64(),
        "recent": pl.Float64(),
        "utilisation": pl.Float64(),
        "hit_probability": pl.Float64(),
        "hit_days": pl.Int64(),
        "lower": pl.Float64(),
        "upper": pl.Float64(),
        "confidence": pl.Float64(),
        "severity": pl.String(),
        "provision": pl.String(),
        "pressed_days_ago": pl.Int64(),
    }
)

SEVERITIES: Final = ("critical", "warning", "ok", "unknown")  # the worst first

REFUSED_DAYS: Final = 1  # today's refusals and yesterday's
LIKELY: Final = 0.05
FULL: Final = 0.80
FAR_ABOVE: Final = 5.0

_KEYS: Final = ["tenant", "limit"]
_ESTIMATED: Final = ("demand", "recent", "lower", "upper", "confidence", "pressed_days_ago")
_NOTHING_TO_SAY: Final = ("unlimited", "blocked", GONE, "no_data", "short_history", "stale")
_LEFT_TO_PEOPLE: Final = ("recommended", RUN_BUDGET)


def targets(decided: pl.DataFrame) -> pl.DataFrame:
    """What each decision was heading for (TARGETS).

    Args:
        decided: the rows of `policy.recommend`, with all the columns of sizing and gates.
    """
    outcome, reason = pl.col("outcome"), pl.col("reason")
    waits = reason.is_in(list(_LEFT_TO_PEOPLE))
    return decided.select(
        *_KEYS,
        recommended=pl.when(~reason.is_in(list(_NOTHING_TO_SAY))).then("target"),
        proposed=pl.when(outcome.is_in(["raise", "lower"]))
        .then("after")
        .when(waits & pl.col("rises"))
        .then("raised")
        .when(waits & pl.col("falls"))
        .then("lowered"),
        ample=pl.col("upper") * pl.col("buffer"),
    ).cast(TARGETS)


def standings(
    aims: pl.DataFrame,
    *,
    estimates: pl.DataFrame,
    risks: pl.DataFrame,
    limits: pl.DataFrame,
    rules: Rules,
    now: datetime,
) -> pl.DataFrame:
    """How every limit that was decided stands.

    Args:
        aims: TARGETS.
        estimates: ESTIMATES.
        risks: RISKS of the limits in force.
        limits: LIMITS in force.
        rules: for the dead band: what is within it fits.
        now: aware UTC.

    Returns:
        STANDINGS, sorted by tenant and limit.
    """
    known = (
        aims.join(limits, on=_KEYS, how="left")
        .join(estimates.select(*_KEYS, *_ESTIMATED), on=_KEYS, how="left")
        .join(risks, on=_KEYS, how="left")
    )
    return (
        known.with_columns(
            at=pl.lit(now).cast(UTC_TIME), severity=_severity(), provision=_provision(rules)
        )
        .select(STANDINGS.names())
        .cast(STANDINGS)
        .sort(_KEYS)
    )


def refused() -> pl.Expr:
    """Whether something was refused for want of the limit today or yesterday; never null."""
    return (pl.col("pressed_days_ago") <= REFUSED_DAYS).fill_null(value=False)


def likely_hit() -> pl.Expr:
    """Whether a hit within a day is likely by what has happened; never null.

    The half hit that every probability has in it is no evidence: in the first week it alone is
    more than a twentieth.
    """
    likely = (pl.col("hit_probability") > LIKELY) & (pl.col("hit_days") > 0)
    return likely.fill_null(value=False)


def by_risk(found: pl.DataFrame) -> pl.DataFrame:
    """STANDINGS, those at most risk first: refused, then by probability, then by how full."""
    in_force = (pl.col("value") > 0).fill_null(value=False)
    return found.sort(
        refused() & in_force,
        "hit_probability",
        "utilisation",
        "tenant",
        "limit",
        descending=[True, True, True, False, False],
        nulls_last=True,
    )


def _severity() -> pl.Expr:
    value = pl.col("value")
    return (
        pl.when(~(value > 0).fill_null(value=False))
        .then(pl.lit("unknown"))
        .when(refused() | likely_hit())
        .then(pl.lit("critical"))
        .when((pl.col("utilisation") > FULL) | (value > FAR_ABOVE * pl.col("recommended")))
        .then(pl.lit("warning"))
        .when(pl.col("utilisation").is_not_null())
        .then(pl.lit("ok"))
        .otherwise(pl.lit("unknown"))
    )


def _provision(rules: Rules) -> pl.Expr:
    value, wanted = pl.col("value"), pl.col("recommended")
    over = (wanted < value * (1 - rules.lower_band)) & (value > pl.col("ample"))
    return (
        pl.when(wanted.is_null() | ~(value > 0).fill_null(value=False))
        .then(None)
        .when(wanted > value * (1 + rules.raise_band))
        .then(pl.lit("under"))
        .when(over)
        .then(pl.lit("over"))
        .otherwise(pl.lit("fits"))
    )
