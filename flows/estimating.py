"""Estimate demand from the history: the days of all tenants, a few limits at a time."""

from __future__ import annotations

from collections.abc import Mapping
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
        _alone(estimate(known, seasons=hours, rules=rules, now=now))
        for known, hours in read_ahead(read, batches)
    ]
    refused = refused_since(database, since=now - NOT_ROLLED_UP, now=now)
    return pressed(pl.concat([empty(ESTIMATES), *parts]).sort("tenant", "limit"), refused=refused)


def _alone(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame without the days that it was made of.

    Strings in polars point into the buffers that they came from, and keep them: ten thousand
    names would hold on to the seven hundred thousand that they were picked from.
    """
    kept = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    return pl.DataFrame(pl.from_arrow(kept)).cast(frame.schema)
