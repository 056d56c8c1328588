"""Tell what creeps up day by day: a slow leak, which no single look would call a blast.

A day's z is the median of its hours' against the same hours of the last four weeks; CUSUM, the sum
of what is above a half, says that it lasts. It has to matter, to still rise, and to have come by
and by: what came within two days is a step, and no leak. Where samples/s and series rose alike, or
the weeks before had risen alike, it is growth. Nothing is capped, and nothing is said of what was
not measured.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import log
from typing import Final

import polars as pl

from policy.figures import grouped
from policy.frames import UTC_TIME
from policy.signals import INGESTION_RATE, SAMPLES_ASKED, SERIES

LIMIT_OF: Final = {SERIES: SERIES, SAMPLES_ASKED: INGESTION_RATE}
WATCHED: Final = tuple(LIMIT_OF)
UNIT_OF: Final = {SERIES: " series", SAMPLES_ASKED: " samples/s"}
OTHER_OF: Final = {SERIES: "samples/s", SAMPLES_ASKED: "series"}

SUM_FIRES: Final = 8.0
SLACK: Final = 0.5  # of a z: a day within it is as usual
LEAST_RISE: Final = log(1.1)
LEAST_MORE: Final = {SERIES: 1_000.0, SAMPLES_ASKED: 100.0}  # a rise by less is nobody's trouble
MOST_AT_ONCE: Final = 0.6  # of the rise, within two days: more is a step
ALIKE: Final = 0.5  # of the rise, and the other signal rose alike
DAYS_OF_WEEK: Final = 7
STILL_RISING: Final = 0.02  # ln of the last week over the one before
RISES_NO_MORE: Final = 0.0
HALF: Final = 0.5
FARTHEST: Final = timedelta(days=3_650)  # what lies beyond it is no forecast

# How a tenant's signal crept up to the end of `day`. `sum` of CUSUM, `since` the day it began, or
# four weeks ago. `before` the level on the same weekday before that, `level` and `peak` of the day;
# `at_once` the largest ln within two days, `weekly` ln of the last week over the one before,
# `past` ln a day in the three weeks before `since`, `other` ln of the other signal since then.
CREEPING: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "signal": pl.String(),
        "day": UTC_TIME,
        "sum": pl.Float64(),
        "since": UTC_TIME,
        "before": pl.Float64(),
        "level": pl.Float64(),
        "peak": pl.Float64(),
        "at_once": pl.Float64(),
        "weekly": pl.Float64(),
        "past": pl.Float64(),
        "other": pl.Float64(),
    }
)
# What creeps, or did. `kind` is leak or growth, `per_day` in the unit of the signal. `reached_at`
# is when the limit is reached at this rate, null where that is not known; `over_at` null: it
# still creeps.
LEAKS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "signal": pl.String(),
        "kind": pl.String(),
        "began_at": UTC_TIME,
        "told_at": UTC_TIME,
        "from_value": pl.Float64(),
        "to_value": pl.Float64(),
        "per_day": pl.Float64(),
        "allowed": pl.Float64(),
        "reached_at": UTC_TIME,
        "because": pl.String(),
        "over_at": UTC_TIME,
    }
)
_KEYS: Final = ["tenant", "signal"]


def judged(
    running: pl.DataFrame, *, creeping: pl.DataFrame, limits: pl.DataFrame, now: datetime
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """What begins, what goes on, and what is over after one day.

    Args:
        running: LEAKS that are not over.
        creeping: CREEPING of the newest whole day, of every tenant and signal that was measured.
        limits: LIMITS in force.
        now: aware UTC.

    Returns:
        LEAKS that begin, that go on with new figures, and that are over; each sorted.
    """
    rows = _measured(creeping, limits=limits)
    told = running.select(
        *_KEYS, "kind", "began_at", "told_at", had_risen=(pl.col("to_value") / "from_value").log()
    )
    on = _told(rows.join(told, on=_KEYS).filter(_goes_on()))
    over = running.join(on, on=_KEYS, how="anti").with_columns(over_at=pl.lit(now, dtype=UTC_TIME))
    begins = (
        rows.filter(_creeps())
        .join(running, on="tenant", how="anti")
        .with_columns(
            kind=_kind(),
            began_at="since",
            told_at=pl.lit(now, dtype=UTC_TIME),
        )
        # One word about a tenant: of its series, where both rise.
        .sort("tenant", pl.col("signal") == SAMPLES_ASKED)
        .unique("tenant", keep="first")
    )
    return _told(begins), on, over.select(LEAKS.names()).sort(_KEYS)


def _measured(creeping: pl.DataFrame, *, limits: pl.DataFrame) -> pl.DataFrame:
    """With the rise, the rate, the limit, and when that is reached."""
    days = (pl.col("day") - pl.col("since")).dt.total_days() + 1
    asked = creeping.with_columns(
        limit=pl.col("signal").replace_strict(LIMIT_OF, return_dtype=pl.String),
        rose=(pl.col("level") / pl.col("before")).log(),
        days=days,
        # Of the last week, where it rises that long.
        per_day=pl.when(days < DAYS_OF_WEEK)
        .then((pl.col("level") - pl.col("before")) / days)
        .otherwise(pl.col("level") * pl.col("weekly") / DAYS_OF_WEEK),
    ).join(
        limits.filter(pl.col("value") > 0).select("tenant", "limit", allowed="value"),
        on=["tenant", "limit"],
        how="left",
    )
    left = (pl.col("allowed") - pl.col("peak")).clip(0.0) / pl.col("per_day")
    in_sight = (pl.col("per_day") > 0) & (left <= FARTHEST.days)
    seconds = pl.when(in_sight).then(left * 86_400.0)
    return asked.with_columns(
        reached_at=pl.col("day")
        + timedelta(days=1)
        + pl.duration(seconds=seconds.round().cast(pl.Int64))
    )


def _creeps() -> pl.Expr:
    more = pl.col("level") - pl.col("before")
    least = pl.col("signal").replace_strict(LEAST_MORE, return_dtype=pl.Float64)
    return (
        (pl.col("sum") > SUM_FIRES)
        & (pl.col("rose") >= LEAST_RISE)
        & (more >= least)
        & (pl.col("at_once") < pl.col("rose") * MOST_AT_ONCE)
        & (pl.col("weekly") > STILL_RISING)
    ).fill_null(value=False)


def _goes_on() -> pl.Expr:
    """It is above the week before, and has not lost half of its rise within a day."""
    fell = (pl.col("rose") < pl.col("had_risen") * HALF).fill_null(value=True)
    return (pl.col("weekly").fill_null(0.0) > RISES_NO_MORE) & ~fell


def _kind() -> pl.Expr:
    together = pl.col("other") >= pl.col("rose") * ALIKE
    before = pl.col("past") >= pl.col("rose") / pl.col("days") * ALIKE
    alike = together.fill_null(value=False) | before.fill_null(value=False)
    return pl.when(alike).then(pl.lit("growth")).otherwise(pl.lit("leak"))


def _told(rows: pl.DataFrame) -> pl.DataFrame:
    """LEAKS with their words, sorted."""
    return (
        rows.with_columns(
            from_value="before",
            to_value="level",
            over_at=pl.lit(None, dtype=UTC_TIME),
            because=_because(),
        )
        .select(LEAKS.names())
        .cast(LEAKS)
        .sort(_KEYS)
    )


def _because() -> pl.Expr:
    """`from 30,000 to 45,000 series since 2026-11-02, 714 a day; samples/s +2 %; …`."""
    unit = pl.col("signal").replace_strict(UNIT_OF, return_dtype=pl.String)
    percent = ((pl.col("other").exp() - 1) * 100).round(0)
    sign = pl.when(percent >= 0).then(pl.lit("+")).otherwise(pl.lit(""))
    other = pl.col("signal").replace_strict(OTHER_OF, return_dtype=pl.String)
    rate = pl.concat_str(
        pl.lit("from "),
        grouped(pl.col("before")),
        pl.lit(" to "),
        grouped(pl.col("level")),
        unit,
        pl.lit(" since "),
        pl.col("since").dt.strftime("%Y-%m-%d"),
        pl.lit(", "),
        grouped(pl.col("per_day")),
        pl.lit(" a day"),
    )
    beside = pl.when(percent.is_not_null()).then(
        pl.concat_str(other, pl.lit(" "), sign, grouped(percent), pl.lit(" %"))
    )
    reached = pl.concat_str(
        pl.lit("its limit of "),
        grouped(pl.col("allowed")),
        pl.lit(" is reached on "),
        pl.col("reached_at").dt.strftime("%Y-%m-%d"),
        pl.lit(" at this rate"),
    )
    return pl.concat_str(rate, beside, reached, separator="; ", ignore_nulls=True)
