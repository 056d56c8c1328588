"""Estimate demand from the history: the days of all tenants, a few limits at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.estimate import estimate, estimate_rules
from policy.estimate.pressure import pressed
from policy.frames import ESTIMATES, empty
from policy.settings import Settings
from storage.ahead import read_ahead
from storage.database import Database
from storage.peaks import days, limit_batches
from storage.samples import refused_since
from storage.seasons import highest_hours

NOT_ROLLED_UP: Final = timedelta(minutes=10)
# An estimate needs a few times the memory of the days that it is made of.
DAYS_AT_ONCE: Final = 350_000


def estimates_of(
    database: Database, *, settings: Settings, limits: Mapping[str, str], now: datetime
) -> pl.DataFrame:
    """ESTIMATES of every tenant with a history.

    Args:
        database: the history, rolled up.
        settings: window, strategy, spikes.
        limits: the signal that the demand on each limit is read from.
        now: aware UTC.
    """
    rules = estimate_rules(settings)

    def read(part: Mapping[str, str]) -> tuple[pl.DataFrame, pl.DataFrame]:
        return (
            days(database, now=now, window=rules.window, limits=part),
            highest_hours(database, limits=part, by_day_hour=bool(rules.hour_factors)),
        )

    batches = limit_batches(database, now=now, window=rules.window, limits=limits)
    parts = [
        _alone(estimate(portion, seasons=hours, rules=rules, now=now))
        for known, hours in read_ahead(read, batches)
        for portion in _portions(known)
    ]
    refused = refused_since(database, since=now - NOT_ROLLED_UP, now=now)
    return pressed(pl.concat([empty(ESTIMATES), *parts]).sort("tenant", "limit"), refused=refused)


def _portions(days: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The days in parts of about DAYS_AT_ONCE rows, no tenant's days of one limit parted."""
    keys = ("tenant", "limit")
    begins = days.select(pl.any_horizontal(pl.col(key) != pl.col(key).shift() for key in keys))
    first_rows = begins.to_series().arg_true()
    start = 0
    while start < days.height:
        later = first_rows.filter(first_rows >= start + DAYS_AT_ONCE)
        end = days.height if later.is_empty() else later[0]
        yield days.slice(start, end - start)
        start = end


def _alone(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame without the days that it was made of.

    Strings in polars point into the buffers that they came from, and keep them: ten thousand
    names would hold on to the seven hundred thousand that they were picked from.
    """
    kept = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    return pl.DataFrame(pl.from_arrow(kept)).cast(frame.schema)
