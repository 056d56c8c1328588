"""What of costs is worth telling, told once when it begins and closed when it is over.

A condition is told when it is reached, and is over only when it is well below: what lingers about
a threshold is told once. What is not known neither begins nor ends anything. A period that turned,
or a budget that is gone, has no condition any more, and what was told of it is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from policy.figures import grouped
from policy.frames import UTC_TIME

# One row per thing to watch. `reached` as it is now, in the unit of `threshold`; null is not known.
# `holds`: it is reached; `lasts`: it is not well below yet. `starts` is the beginning of the period
# that it is of, null where it is of none. `evidence` is JSON.
CONDITIONS: Final = pl.Schema(
    {
        "kind": pl.String(),
        "scope": pl.String(),
        "name": pl.String(),
        "unit": pl.String(),
        "starts": UTC_TIME,
        "threshold": pl.Float64(),
        "severity": pl.String(),
        "reached": pl.Float64(),
        "holds": pl.Boolean(),
        "lasts": pl.Boolean(),
        "because": pl.String(),
        "evidence": pl.String(),
    }
)
# What was told: when it began, and when it was over.
ALERTS: Final = pl.Schema(
    {
        **{name: kind for name, kind in CONDITIONS.items() if name not in {"holds", "lasts"}},
        "at": UTC_TIME,
        "over_at": UTC_TIME,
    }
)
KEYS: Final = ("kind", "scope", "name", "unit", "starts", "threshold")
_BUDGET: Final = ("kind", "scope", "name", "unit")

ALL_OF_IT: Final = 100.0
BELOW: Final = 2.0
"""Percent points below a threshold at which its crossing is over."""
WARNING_FROM: Final = 90.0
LIKELY: Final = 80.0
"""Percent of the forecast's paths that exceed a budget, from which on that is told."""
UNLIKELY: Final = 60.0
"""Below it, that is over."""
PERIOD_WORDS: Final = {"day": "daily", "week": "weekly", "month": "monthly", "year": "annual"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Turned:
    """What began and what is over.

    Attributes:
        began: ALERTS.
        over: ALERTS, with `over_at`; `lasts` and `holds` of none of them.
        ended: of `over`, one of each kind and budget of which nothing lasts or began.
    """

    began: pl.DataFrame
    over: pl.DataFrame
    ended: pl.DataFrame


def turned(conditions: pl.DataFrame, *, known: pl.DataFrame, now: datetime) -> Turned:
    """What begins and what ends with these conditions.

    Args:
        conditions: CONDITIONS.
        known: ALERTS that are not over.
        now: aware UTC.
    """
    at = pl.lit(now).cast(UTC_TIME)
    began = (
        conditions.filter(pl.col("holds").fill_null(value=False))
        .join(known.select(KEYS), on=KEYS, how="anti", nulls_equal=True)
        .with_columns(at=at, over_at=pl.lit(None, dtype=UTC_TIME))
    )
    lasting = conditions.filter(pl.col("lasts").fill_null(value=True))
    over = known.join(lasting.select(KEYS), on=KEYS, how="anti", nulls_equal=True).with_columns(
        over_at=at
    )
    stays = pl.concat(
        [
            each.select(_BUDGET)
            for each in (began, known.join(over, on=KEYS, how="anti", nulls_equal=True))
        ]
    )
    ended = (
        over.join(stays, on=_BUDGET, how="anti")
        .sort("threshold")
        .unique(_BUDGET, keep="last", maintain_order=True)
    )
    return Turned(
        **{
            name: each.select(ALERTS.names()).cast(ALERTS).sort(KEYS)
            for name, each in (("began", began), ("over", over), ("ended", ended))
        }
    )


def told(began: pl.DataFrame) -> pl.DataFrame:
    """Of thresholds of one budget that were crossed together, the highest; all else as it is."""
    budget = ["kind", "scope", "name", "unit", "starts"]
    highest = pl.col("threshold") == pl.col("threshold").max().over(budget)
    return began.filter((pl.col("kind") != "threshold") | highest)


def crossings(status: pl.DataFrame, *, thresholds: tuple[float, ...]) -> pl.DataFrame:
    """CONDITIONS of each budget (STATUS) at each threshold, in percent, and at all of it."""
    levels = pl.DataFrame(
        {"threshold": sorted({*thresholds, ALL_OF_IT})}, schema={"threshold": pl.Float64()}
    )
    reached = pl.col("used") * 100
    rows = status.join(levels, how="cross").with_columns(
        kind=pl.lit("threshold"),
        reached=reached,
        holds=reached >= pl.col("threshold"),
        lasts=reached >= pl.col("threshold") - BELOW,
        severity=pl.when(pl.col("threshold") >= ALL_OF_IT)
        .then(pl.lit("critical"))
        .when(pl.col("threshold") >= WARNING_FROM)
        .then(pl.lit("warning"))
        .otherwise(pl.lit("info")),
        because=pl.format(
            "{} used {} % of the {} budget: {} of {} {}, with {} % of the time over",
            who(),
            grouped(reached.round(1)),
            pl.col("unit").replace_strict(PERIOD_WORDS, return_dtype=pl.String),
            grouped(pl.col("spent").cast(pl.Float64)),
            grouped(pl.col("budget").cast(pl.Float64)),
            "currency",
            grouped((pl.col("passed") * 100).round(1)),
        ),
        evidence=pl.struct(
            pl.col("spent", "budget").cast(pl.String), "used", "passed", "hours"
        ).struct.json_encode(),
    )
    return rows.select(CONDITIONS.names()).cast(CONDITIONS)


def foreseen(status: pl.DataFrame, forecasts: pl.DataFrame) -> pl.DataFrame:
    """CONDITIONS of each budget (STATUS) that its forecast (FORECASTS) exceeds.

    Once it is used up, there is nothing to foresee. Without a forecast nothing is known.
    """
    likely = pl.col("over_probability") * 100
    running = pl.col("used").fill_null(0.0) < 1
    rows = status.join(forecasts, on=["scope", "name", "unit"]).with_columns(
        kind=pl.lit("forecast"),
        threshold=pl.lit(LIKELY),
        severity=pl.lit("warning"),
        reached=likely,
        holds=(likely >= LIKELY) & running,
        lasts=(likely >= UNLIKELY) & running,
        because=pl.format(
            "{} will exceed the {} budget with a probability of {} %: {} of {} {} by its end, {}",
            who(),
            pl.col("unit").replace_strict(PERIOD_WORDS, return_dtype=pl.String),
            grouped(likely.round(0)),
            grouped(pl.col("p50").round(2)),
            grouped(pl.col("budget").cast(pl.Float64)),
            "currency",
            pl.when(pl.col("crosses_on").is_null())
            .then(pl.lit("nobody knows on which day"))
            .otherwise(pl.format("used up on {}", pl.col("crosses_on"))),
        ),
        evidence=pl.struct(
            pl.col("spent", "budget").cast(pl.String),
            "p10",
            "p50",
            "p90",
            "over_probability",
            pl.col("crosses_on").cast(pl.String),
        ).struct.json_encode(),
    )
    return rows.select(CONDITIONS.names()).cast(CONDITIONS)


def who() -> pl.Expr:
    """Who a row is of: everybody, a team, a tenant by its name."""
    return (
        pl.when(pl.col("scope") == "global")
        .then(pl.lit("everybody"))
        .when(pl.col("scope") == "team")
        .then(pl.format("team {}", "name"))
        .otherwise("name")
    )
