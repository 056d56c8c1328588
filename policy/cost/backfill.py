"""Which past days are due, the hours in what Prometheus answers about one, and what is missing.

A backfill works by whole UTC days; the last one ends with the last whole hour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from policy.cost.periods import Period, moment
from policy.cost.questions import LOOK
from policy.cost.usage import IMPORTED
from policy.errors import ConfigError
from policy.frames import UTC_TIME
from policy.settings.durations import parse_duration

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)

# What a question was answered: `at` is the end of the hour; `user` is null where nobody's.
ANSWER: Final = pl.Schema({"user": pl.String(), "at": UTC_TIME, "value": pl.Float64()})
# Hours that nothing is known of, next to each other in one row; `tenant` null: of nobody.
GAPS: Final = pl.Schema(
    {"tenant": pl.String(), "start": UTC_TIME, "end": UTC_TIME, "hours": pl.Int64()}
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Filled:
    """What is known of one day.

    Attributes:
        day: its hours; all of a UTC day, or as many as are over.
        hours: IMPORTED.
        gaps: GAPS of the hours that nobody could look at, and of tenants that have other hours.
    """

    day: Period
    hours: pl.DataFrame
    gaps: pl.DataFrame

    @property
    def tenants(self) -> int:
        """How many have an hour."""
        return self.hours["tenant"].n_unique()

    @property
    def hours_missing(self) -> int:
        """Hours of the day that nothing is known of."""
        return int(self.gaps.filter(pl.col("tenant").is_null())["hours"].sum())

    @property
    def tenant_hours_missing(self) -> int:
        """Hours of single tenants, in hours that others have."""
        return int(self.gaps.filter(pl.col("tenant").is_not_null())["hours"].sum())


def asked_range(since: str, until: str | None, *, now: datetime, zone: ZoneInfo) -> Period:
    """The whole days that a person asks for.

    Args:
        since: a length like `90d`, back from `until`; a day like `2026-11-01`, or a moment.
        until: a day, from whose midnight on nothing is asked, or a moment; None is now.
        now: aware UTC.
        zone: of days, and of moments without an offset.

    Returns:
        From a midnight UTC to one, or to the last whole hour before now.

    Raises:
        ConfigError: it is no range, or nothing of it is over.
    """
    over = _hour_of(now)
    end = over if until is None else moment(until, zone=zone)
    begin = _back(since, end=end, zone=zone)
    start, stop = _day_of(begin), min(_day_of(end + DAY - timedelta(microseconds=1)), over)
    if begin >= end:
        raise ConfigError(f"since {since} is not before until {until or 'now'}")
    if start >= stop:
        raise ConfigError(f"since {since}: no hour of that is over yet")
    return Period(start=start, end=stop)


def refuse_other_steps(step: str) -> None:
    """Refuse any step but an hour: costs are by the hour, and looks are five minutes apart.

    Raises:
        ConfigError: it is another.
    """
    try:
        length = parse_duration(step)
    except ValueError as refusal:
        raise ConfigError(f"step: {refusal}") from refusal
    if length != HOUR:
        raise ConfigError(f"step {step}: usage and costs are kept by the hour; leave it at 1h")


def days_of(whole: Period) -> list[Period]:
    """The UTC days of the range, the oldest first."""
    count = -(-(whole.end - whole.start) // DAY)
    starts = [whole.start + number * DAY for number in range(count)]
    return [Period(start=start, end=min(start + DAY, whole.end)) for start in starts]


def due(days: Sequence[Period], *, stored: Mapping[date, datetime]) -> list[Period]:
    """Those of the days that are not stored, or not up to their last hour."""
    return [day for day in days if stored.get(day.start.date(), day.start) < day.end]


def filled(day: Period, *, answers: Mapping[str, pl.DataFrame], looks: pl.DataFrame) -> Filled:
    """The hours of a day.

    Args:
        day: which.
        answers: by signal, ANSWER of `policy.cost.questions`: sums of looks.
        looks: ANSWER: how many of the looks of each hour found somebody.
    """
    heard = looks.filter(pl.col("value") > 0).select(
        (pl.col("at") - HOUR).alias("at"), pl.col("value").alias("looks")
    )
    told = [
        answer.select(
            (pl.col("at") - HOUR).alias("at"),
            pl.col("user").alias("tenant"),
            pl.lit(signal).alias("signal"),
            "value",
        )
        for signal, answer in answers.items()
    ]
    rows = pl.concat(told) if told else IMPORTED.to_frame().with_columns(value=pl.col("mean"))
    hours = (
        rows.drop_nulls("tenant")
        .filter(pl.col("at").is_between(day.start, day.end, closed="left"))
        .join(heard, on="at", maintain_order="left")
        .select(
            "at",
            "tenant",
            "signal",
            (pl.col("value") / pl.col("looks")).alias("mean"),
            (pl.col("looks") * LOOK.total_seconds()).alias("covered_seconds"),
        )
        .select(IMPORTED.names())
        .cast(IMPORTED)
    )
    return Filled(day=day, hours=hours, gaps=gaps(hours, day=day, heard=heard["at"]))


def gaps(hours: pl.DataFrame, *, day: Period, heard: pl.Series) -> pl.DataFrame:
    """GAPS of a day, those of nobody first.

    Args:
        hours: IMPORTED of the day.
        day: which.
        heard: the hours in which there was somebody to look at.
    """
    all_of_it = pl.datetime_range(day.start, day.end, HOUR, closed="left", eager=True)
    each = pl.DataFrame({"at": all_of_it.cast(UTC_TIME)})
    known = pl.col("at").is_in(heard.implode())
    nobody = each.filter(~known).select(pl.lit(None, dtype=pl.String).alias("tenant"), "at")
    of_tenants = (
        hours.select("tenant")
        .unique()
        .join(each.filter(known), how="cross")
        .join(hours.select("tenant", "at"), on=["tenant", "at"], how="anti")
    )
    missing = pl.concat([nobody, of_tenants]).sort("tenant", "at")
    place = pl.int_range(pl.len()).over("tenant")
    return (
        missing.with_columns((pl.col("at") - HOUR * place).alias("island"))
        .group_by("tenant", "island")
        .agg(
            pl.col("at").min().alias("start"),
            (pl.col("at").max() + HOUR).alias("end"),
            pl.len().cast(pl.Int64).alias("hours"),
        )
        .sort("tenant", "start")
        .select(GAPS.names())
        .cast(GAPS)
    )


def _back(since: str, *, end: datetime, zone: ZoneInfo) -> datetime:
    try:
        return end - parse_duration(since)
    except ValueError:
        pass
    try:
        return moment(since, zone=zone)
    except ConfigError:
        raise ConfigError(
            f"since {since!r} is no length like 90d, and no day like 2026-11-01"
        ) from None


def _hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _day_of(at: datetime) -> datetime:
    return _hour_of(at).replace(hour=0)
