"""The limits of a backtest and what was done to them: as production keeps it, but in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.backtest_known import DAY, HOUR, KEYS
from policy.frames import UTC_TIME, empty

# One row per tenant and limit. `since` when its limit was given this value; `runs` how many
# evaluations in a row found it too high; `pressed_on` the last day on which more was asked for.
STANDING: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "value": pl.Float64(),
        "since": UTC_TIME,
        "runs": pl.Int64(),
        "pressed_on": pl.Date(),
    }
)
# Every change of a limit, in the order of time.
CHANGED_LIMITS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "at": UTC_TIME,
        "before": pl.Float64(),
        "after": pl.Float64(),
    }
)
# The moments at which something is decided, by tenant.
MOMENTS: Final = pl.Schema({"tenant": pl.String(), "moment": UTC_TIME})


@dataclass(slots=True, kw_only=True, eq=False)
class Standing:
    """What stands at some moment of the walk, and how it came to be.

    Attributes:
        limits: STANDING.
        changes: CHANGED_LIMITS so far.
    """

    limits: pl.DataFrame
    changes: pl.DataFrame = field(default_factory=lambda: empty(CHANGED_LIMITS))

    @classmethod
    def of(cls, start: pl.DataFrame, *, at: datetime) -> Standing:
        """The standing with the limits (LIMITS) that everybody starts with."""
        return cls(
            limits=start.select(
                *KEYS,
                "value",
                since=pl.lit(at).cast(UTC_TIME),
                runs=pl.lit(0, dtype=pl.Int64),
                pressed_on=pl.lit(None, dtype=pl.Date),
            ).cast(STANDING)
        )

    def pressed(self, hours: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
        """How long ago more was asked for than the limit: KEYS, moment, pressed_days_ago.

        Args:
            hours: HOURS of the day of the moments; blasts count, as refusals of them do.
            moments: MOMENTS of one day.
        """
        begun = self._exceeded(hours).group_by(KEYS).agg(pressed_from=pl.col("at").min() + HOUR)
        told = self.limits.join(begun, on=KEYS, how="left").join(moments, on="tenant")
        ago = (pl.col("moment").dt.date() - pl.col("pressed_on")).dt.total_days()
        return told.select(
            *KEYS,
            "moment",
            pressed_days_ago=pl.when(pl.col("pressed_from") <= pl.col("moment"))
            .then(0)
            .otherwise(ago)
            .cast(pl.Int64),
        )

    def moves(self, moments: pl.DataFrame, *, window: timedelta) -> pl.DataFrame:
        """MOVES with `moment`, as they were at each of the moments (MOMENTS)."""
        at, up = pl.col("at"), pl.col("after") > pl.col("before")
        turned = self.changes.with_columns(up=up).with_columns(
            turns=(pl.col("up") != pl.col("up").shift().over(KEYS)).fill_null(value=False)
        )
        return (
            turned.join(moments, on="tenant")
            .filter(at <= pl.col("moment"))
            .group_by(*KEYS, "moment")
            .agg(
                raised_at=at.filter("up").max(),
                lowered_at=at.filter(~pl.col("up")).max(),
                reversals=(pl.col("turns") & (at > pl.col("moment") - window)).sum().cast(pl.Int64),
                # A lowering is taken back between two decisions, and here there is nothing between.
                reverts=pl.lit(0, dtype=pl.Int64),
                failed=pl.lit(0, dtype=pl.Int64),
            )
        )

    def changed(self) -> pl.DataFrame:
        """CHANGED: when each limit was changed last; who was not is not in it."""
        return self.changes.group_by(KEYS).agg(changed_at=pl.col("at").max())

    def apply(self, decisions: pl.DataFrame, *, hours: pl.DataFrame) -> None:
        """Put decisions to work, of each tenant those of one moment.

        Args:
            decisions: KEYS, moment, after, runs; `after` is null where nothing is changed.
            hours: HOURS of the day, to know what was refused until then.
        """
        told = self.limits.join(decisions, on=KEYS, how="left", suffix="_new")
        until = told.select(*KEYS, until="moment")
        refused = (
            self._exceeded(hours)
            .join(until, on=KEYS)
            .filter(pl.col("at") < pl.col("until"))
            .group_by(KEYS)
            .agg(refused_on=pl.col("at").max().dt.date())
        )
        self.changes = pl.concat(
            [
                self.changes,
                told.drop_nulls("after")
                .select(*KEYS, at="moment", before="value", after="after")
                .cast(CHANGED_LIMITS),
            ]
        )
        is_changed = pl.col("after").is_not_null()
        self.limits = (
            told.join(refused, on=KEYS, how="left")
            .select(
                *KEYS,
                value=pl.coalesce("after", "value"),
                since=pl.when(is_changed).then("moment").otherwise("since"),
                runs=pl.coalesce("runs_new", "runs"),
                pressed_on=pl.max_horizontal("pressed_on", "refused_on"),
            )
            .cast(STANDING)
        )

    def end_day(self, hours: pl.DataFrame) -> None:
        """Remember what was refused until the end of the day whose HOURS these are."""
        refused = self._exceeded(hours).group_by(KEYS).agg(refused_on=pl.col("at").max().dt.date())
        self.limits = (
            self.limits.join(refused, on=KEYS, how="left")
            .with_columns(pressed_on=pl.max_horizontal("pressed_on", "refused_on"))
            .select(STANDING.names())
        )

    def _exceeded(self, hours: pl.DataFrame) -> pl.DataFrame:
        """The hours since the limit was given its value in which more was asked for."""
        return hours.join(self.limits.select(*KEYS, "value", "since"), on=KEYS).filter(
            (pl.col("at") >= pl.col("since")) & (pl.col("highest") > pl.col("value"))
        )


def moments_of_day(
    day: datetime, *, begin: datetime, end: datetime, every: timedelta
) -> list[datetime]:
    """The moments of the day at which something is decided: from `begin` on, each `every`."""
    first = begin + max(-((begin - day) // every), 0) * every
    return [
        moment
        for step in range(max(0, -((first - day - DAY) // every)))
        if (moment := first + step * every) < min(day + DAY, end)
    ]
