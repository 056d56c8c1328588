"""What was known at each moment of the past: the days, the running one as far as it had come.

Nothing that happened after a moment is in what is known at it. The days that were over are made
once; of the running day there is one row per hour of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.frames import DAYS, SEASONS, UTC_TIME

# One row per tenant, limit and hour with data; `limit` may be another signal, which is known and
# not judged. `at` the start of the hour; `peak` the largest 5-minute bucket outside of blasts, null
# when all was one; `highest` the same with blasts; `sustained` the level that was held, null when
# not known; `mean` of the hour; `points` 5-minute buckets.
HOURS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "at": UTC_TIME,
        "peak": pl.Float64(),
        "highest": pl.Float64(),
        "sustained": pl.Float64(),
        "mean": pl.Float64(),
        "points": pl.Int64(),
    }
)

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
KEYS: Final = ["tenant", "limit"]

_WEEKS: Final = 10  # as many as the history's table of the week counts
_WEEK_HOURS: Final = 168
_DAY_HOURS: Final = 24
_HALF_LIFE_WEEKS: Final = 2.0
_SHARE: Final = 0.95
_SLACK: Final = 1e-9
_LEAST_WEEKS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """The hours of some tenants, arranged by when they were known.

    Attributes:
        hours: HOURS, sorted by tenant, limit and time.
        running: DAYS with `known_at`: each day as it was known after each of its hours.
        whole: DAYS, each with the last that is known of it.
        seasons: SEASONS with `at`: the highest cell of each hour of the day in the week up to and
            with the hour that begins at `at`; None where they are not asked for.
    """

    hours: pl.DataFrame
    running: pl.DataFrame
    whole: pl.DataFrame
    seasons: pl.DataFrame | None

    def days(self, moments: Sequence[datetime], *, window: timedelta) -> pl.DataFrame:
        """DAYS as known at each of the moments, with `moment`.

        Args:
            moments: aware UTC, of one UTC day.
            window: how far back; the day that it begins in is told whole.
        """
        today = moments[0].date()
        past = self.whole.filter(
            (pl.col("day") < today) & (pl.col("day") >= today - window - DAY)
        ).join(_frame(moments), how="cross")
        begun = self.running.filter(pl.col("day") == today)
        now = (
            begun.select(KEYS)
            .unique(maintain_order=True)
            .join(_frame(moments), how="cross")
            .sort("moment")
            .join_asof(
                begun.sort("known_at"),
                left_on="moment",
                right_on="known_at",
                by=KEYS,
                check_sortedness=False,
            )
            .drop_nulls("known_at")
        )
        names = [*DAYS.names(), "moment"]
        return pl.concat([past.select(names), now.select(names)])

    def cells(self, moments: Sequence[datetime]) -> pl.DataFrame | None:
        """SEASONS as known at each of the moments, with `moment`."""
        if self.seasons is None:
            return None
        lately = [
            (moment, moment.replace(minute=0, second=0) - back * HOUR)
            for moment in moments
            for back in range(1, _DAY_HOURS + 1)
        ]
        wanted = pl.DataFrame(lately, schema={"moment": UTC_TIME, "at": UTC_TIME}, orient="row")
        return wanted.join(self.seasons, on="at").select(*SEASONS.names(), "moment")


def known(hours: pl.DataFrame, *, with_seasons: bool) -> Known:
    """Arrange the hours.

    Args:
        hours: HOURS in any order, each hour of a tenant and limit once.
        with_seasons: whether what is usual in each hour of the week is made from them.
    """
    rows = hours.select(HOURS.names()).cast(HOURS).sort(*KEYS, "at")
    of_day = [*KEYS, "day"]

    def so_far(name: str) -> pl.Expr:
        return pl.col(name).cum_max().forward_fill().over(of_day)

    running = rows.with_columns(day=pl.col("at").dt.date()).select(
        *of_day,
        peak=so_far("peak"),
        sustained=so_far("sustained"),
        points=pl.col("points").cum_sum().over(of_day),
        hours=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(of_day),
        coverage=pl.lit(1.0),
        pressure=pl.lit(None, dtype=pl.Float64),
        last_at=pl.col("at") + HOUR,
        known_at=pl.col("at") + HOUR,
    )
    return Known(
        hours=rows,
        running=running.filter(pl.col("known_at").dt.date() == pl.col("day")),
        whole=running.group_by(of_day, maintain_order=True).last().select(DAYS.names()),
        seasons=_seasons(rows) if with_seasons else None,
    )


def _seasons(rows: pl.DataFrame) -> pl.DataFrame:
    """SEASONS with `at`; see `Known.seasons`."""
    grid = _on_grid(rows)
    levels = grid.with_columns(
        pl.col("peak").shift(back * _WEEK_HOURS).over(KEYS).alias(f"week_{back}")
        for back in range(_WEEKS)
    ).with_columns(level=_decayed_level(), weeks=_told_weeks())
    level = pl.when(pl.col("weeks") >= _LEAST_WEEKS).then("level")
    of_week = (pl.col("at").dt.weekday().cast(pl.Int64) - 1) * _DAY_HOURS + pl.col("at").dt.hour()
    week_of_days = [pl.col("level").shift(back * _DAY_HOURS).over(KEYS) for back in range(7)]
    return (
        levels.select(*KEYS, "at", "weeks", level=level, hour_of_week=of_week.cast(pl.Int16))
        .with_columns(level=pl.max_horizontal(week_of_days))
        .drop_nulls("level")
        .with_columns(weeks=pl.lit(_LEAST_WEEKS, dtype=pl.Int64))
        .select(*SEASONS.names(), "at")
    )


def _on_grid(rows: pl.DataFrame) -> pl.DataFrame:
    """Every hour from the first to the last of all; `peak` null where nothing is known."""
    if rows.is_empty():
        return rows.select(*KEYS, "at", "peak")
    times = rows.select(
        at=pl.datetime_range(pl.col("at").min(), pl.col("at").max(), HOUR, eager=False)
    )
    return (
        rows.select(KEYS)
        .unique(maintain_order=True)
        .join(times, how="cross")
        .join(rows.select(*KEYS, "at", "peak"), on=[*KEYS, "at"], how="left")
        .sort(*KEYS, "at")
    )


def _decayed_level() -> pl.Expr:
    """The smallest of the weeks' peaks at which the weights up to it reach 95 % of all."""
    weeks = [pl.col(f"week_{back}") for back in range(_WEEKS)]
    weights = [2 ** (-back / _HALF_LIFE_WEEKS) for back in range(_WEEKS)]
    whole = pl.sum_horizontal(
        pl.when(week.is_not_null()).then(weight).otherwise(0.0)
        for week, weight in zip(weeks, weights, strict=True)
    )
    candidates = []
    for week in weeks:
        reached = pl.sum_horizontal(
            pl.when(other <= week).then(weight).otherwise(0.0)
            for other, weight in zip(weeks, weights, strict=True)
        )
        candidates.append(pl.when(reached >= whole * (_SHARE - _SLACK)).then(week))
    return pl.min_horizontal(candidates)


def _told_weeks() -> pl.Expr:
    return pl.sum_horizontal(
        pl.col(f"week_{back}").is_not_null().cast(pl.Int64) for back in range(_WEEKS)
    )


def _frame(moments: Sequence[datetime]) -> pl.DataFrame:
    return pl.DataFrame({"moment": list(moments)}, schema={"moment": UTC_TIME})
