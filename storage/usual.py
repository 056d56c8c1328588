"""What is usual for each tenant at this hour: of past weeks and months, of the last day and hours.

Reading goes through `Ask`, as a backtest does, so that any process can ask.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from math import sqrt
from typing import Final

import polars as pl

from policy.frames import UTC_TIME
from policy.usual import USUAL
from storage.backtests import Ask
from storage.literals import literal

WEEKS: Final = 4
MONTHS: Final = 3
AROUND: Final = timedelta(hours=1)
HOUR: Final = timedelta(hours=1)
RECENT: Final = timedelta(hours=6)
LATE: Final = timedelta(hours=3)
DAY: Final = timedelta(days=1)

# A few hours at a time: DuckDB skips all other blocks by constants.
HOURS: Final = """
    select "at", tenant, signal, mean, coalesce(calm, 0.0) as calm from peaks_hourly
    where "at" >= make_timestamptz({first}) and "at" <= make_timestamptz({last})
      and mean > 0 and {whose}
"""
OF_THE_DAY: Final = """
    select
        tenant, signal,
        max(calm) as peak,
        max(calm / mean) filter (mean > 0) as crest,
        max(calm) filter (
            "at" >= make_timestamptz({late}) or "at" < make_timestamptz({then})
        ) as near
    from peaks_hourly
    where "at" >= make_timestamptz({since}) and "at" <= make_timestamptz({now}) and {whose}
    group by tenant, signal
"""
RECENT_MEDIANS: Final = """
    select tenant, signal, median(mean) as recent from demand_5m
    where "at" >= make_timestamptz({since})
      and "at" < time_bucket(interval '5 minutes', make_timestamptz({now})) and {whose}
    group by tenant, signal
"""
_KEY: Final = {"tenant": pl.String(), "signal": pl.String()}
_HOURS: Final = pl.Schema({"at": UTC_TIME, **_KEY, "mean": pl.Float64(), "calm": pl.Float64()})
_OF_THE_DAY: Final = pl.Schema(
    {**_KEY, "peak": pl.Float64(), "crest": pl.Float64(), "near": pl.Float64()}
)
_RECENT: Final = pl.Schema({**_KEY, "recent": pl.Float64()})


def weekly(
    ask: Ask, *, now: datetime, signals: Sequence[str], tenant: str | None = None
) -> pl.DataFrame:
    """What the same hours of the last weeks were, an hour to either side.

    Args:
        ask: answers a statement.
        now: aware UTC.
        signals: of which.
        tenant: of whom; None is all.

    Returns:
        Columns tenant, signal, mid, spread, points, lift, peak. The peak is also one that the same
        hours of the same day had in two of the last months; on the last day of a month, of theirs.
    """
    hour, whose = _hour(now), _whose(signals, tenant=tenant)

    def hours(centre: datetime, *, before: timedelta, after: timedelta) -> pl.DataFrame:
        """The hours around one, `around` hours after it."""
        first, last = _micros(centre - before), _micros(centre + after)
        found = ask(HOURS.format(first=first, last=last, whose=whose))
        around = (pl.col("at") - pl.lit(centre, dtype=UTC_TIME)).dt.total_hours()
        return found.select(_HOURS.names()).cast(_HOURS).with_columns(around=around)

    past = pl.concat(
        hours(hour - timedelta(weeks=week), before=LATE, after=AROUND)
        for week in range(WEEKS, 0, -1)
    )
    late = hours(hour, before=LATE, after=-HOUR)
    months = [hours(day, before=AROUND, after=AROUND) for day in _months_before(hour)]
    key = list(_KEY)
    return (
        _of_weeks(past.filter(pl.col("around").abs() <= AROUND // HOUR))
        .join(_lift(late, past=past), on=key, how="left")
        .join(_of_months(months), on=key, how="full", coalesce=True)
        .with_columns(peak=pl.max_horizontal("peak", "months_peak"))
        .drop("months_peak")
    )


def usual(
    ask: Ask,
    *,
    now: datetime,
    signals: Sequence[str],
    weeks: pl.DataFrame,
    tenant: str | None = None,
) -> pl.DataFrame:
    """USUAL at this time.

    Args:
        ask: answers a statement.
        now: aware UTC.
        signals: of which.
        weeks: what `weekly` gave within this hour.
        tenant: of whom; None is all.
    """
    hour, whose = _hour(now), _whose(signals, tenant=tenant)
    day = OF_THE_DAY.format(
        since=_micros(hour - DAY - AROUND),
        then=_micros(hour - DAY + AROUND + HOUR),
        late=_micros(hour - LATE),
        now=_micros(now),
        whose=whose,
    )
    recent = RECENT_MEDIANS.format(since=_micros(now - RECENT), now=_micros(now), whose=whose)
    key = list(_KEY)
    return (
        ask(recent)
        .cast(_RECENT)
        .join(weeks.rename({"peak": "weeks_peak"}), on=key, how="full", coalesce=True)
        .join(ask(day).cast(_OF_THE_DAY), on=key, how="full", coalesce=True)
        .with_columns(
            near=pl.max_horizontal("near", "weeks_peak"),
            peak=pl.max_horizontal("peak", "weeks_peak"),
        )
        .select(USUAL.names())
        .cast(USUAL)
    )


def _of_weeks(rows: pl.DataFrame) -> pl.DataFrame:
    """Columns tenant, signal, mid, spread, points, peak; of rows that begin with the oldest week.

    An hour is spread around the same of the week before: that a day rises and falls is no unrest,
    nor is a step between two weeks.
    """
    log = pl.col("mean").log()
    of_hours = rows.group_by(*_KEY, "around").agg(
        logs=log, apart=log.diff().abs() / sqrt(2.0), peak=pl.col("calm").max()
    )
    logs = pl.col("logs").explode()
    return of_hours.group_by(*_KEY).agg(
        mid=logs.median(),
        spread=pl.col("apart").explode().median(),
        points=logs.len().cast(pl.Int64),
        peak=pl.col("peak").max(),
    )


def _lift(late: pl.DataFrame, *, past: pl.DataFrame) -> pl.DataFrame:
    """Columns tenant, signal, lift: how many times their own of past weeks the last hours were."""
    own = past.group_by(*_KEY, "around").agg(own=pl.col("mean").median())
    return (
        late.join(own, on=[*_KEY, "around"])
        .group_by(*_KEY)
        .agg(lift=(pl.col("mean") / pl.col("own")).median())
    )


def _of_months(months: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Columns tenant, signal, months_peak: the second highest of the months; once is no habit."""
    peaks = [rows.group_by(*_KEY).agg(pl.col("calm").max()) for rows in months]
    second = pl.col("calm").sort(descending=True).get(1, null_on_oob=True)
    return pl.concat(peaks).group_by(*_KEY).agg(months_peak=second)


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)


def _months_before(hour: datetime) -> Iterator[datetime]:
    """The same hour of the same day of the last months, where they have it."""
    is_last = hour.day == monthrange(hour.year, hour.month)[1]
    for back in range(1, MONTHS + 1):
        year, month = divmod(hour.year * 12 + hour.month - 1 - back, 12)
        days = monthrange(year, month + 1)[1]
        if is_last or hour.day <= days:
            yield hour.replace(year=year, month=month + 1, day=days if is_last else hour.day)


def _whose(signals: Sequence[str], *, tenant: str | None) -> str:
    named = ", ".join(literal(signal) for signal in signals)
    own = "" if tenant is None else f" and tenant = {literal(tenant)}"
    return f"signal in ({named}){own}"


def _micros(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)
