"""Remember the first and the last days of months, when batch jobs and invoices run.

Between two of them lies a month, longer than a recent peak is remembered and long enough for a
decaying weight to forget them. Whoever peaks on them time and again keeps the last one.
"""

from __future__ import annotations

from typing import Final

import polars as pl

_MONTHS_DAYS: Final = 92  # three months
_LEAST_SPAN_DAYS: Final = 62  # two whole months: below, twice is no pattern
_KEPT_DAYS: Final = 35
_ABOVE_MEDIAN: Final = 1.3
_TIMES: Final = 2


def month_end_peaks(days: pl.DataFrame) -> pl.DataFrame:
    """The highest of the last 35 days, for keys that peak at months' ends: key, calendar.

    Args:
        days: DAILY.
    """
    day, counted, age = pl.col("day"), pl.col("counted"), pl.col("age")
    lately = pl.when(age < _KEPT_DAYS).then(counted)
    usual = (
        days.select("key", "age", "counted", lately=lately)
        .group_by("key")
        .agg(
            median=counted.median(),
            calendar=pl.col("lately").max(),
            span=age.max(),
        )
        .filter(pl.col("span") > _LEAST_SPAN_DAYS)
    )
    # Asked of the few dates there are, not of every row.
    first, last = pl.col("first"), pl.col("last")
    dates = (
        days.select(day.unique())
        .with_columns(first=day.dt.day() == 1, last=day == day.dt.month_end())
        .filter(first | last)
    )
    of_months = days.filter((age <= _MONTHS_DAYS) & day.is_in(dates["day"].implode()))
    ends = of_months.select("key", "day", "counted").join(dates, on="day").join(usual, on="key")
    high = counted > pl.col("median") * _ABOVE_MEDIAN
    return (
        ends.group_by("key")
        .agg(
            pl.col("calendar").first(),
            firsts=(first & high).sum(),
            lasts=(last & high).sum(),
        )
        .filter(pl.max_horizontal("firsts", "lasts") >= _TIMES)
        .drop_nulls("calendar")
        .select("key", "calendar")
    )
