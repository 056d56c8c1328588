"""Estimate demand from the history: the days of all tenants, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.estimate import estimate, estimate_rules
from policy.estimate.pressure import pressed
from policy.frames import ESTIMATES, empty
from policy.settings import Settings
from storage.database import Database
from storage.peaks import days, tenant_batches
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
    parts = [empty(ESTIMATES)]
    for tenants in tenant_batches(database, now=now, window=rules.window):
        known = days(database, now=now, window=rules.window, limits=limits, tenants=tenants)
        hours = highest_hours(
            database, limits=limits, tenants=tenants, by_day_hour=bool(rules.hour_factors)
        )
        parts.append(estimate(known, seasons=hours, rules=rules, now=now))
    refused = refused_since(database, since=now - NOT_ROLLED_UP, now=now)
    return pressed(pl.concat(parts), refused=refused)
