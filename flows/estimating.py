"""Estimate demand and risk from the history: all tenants' days, a few limits at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.estimate import RISKS, estimate_daily, estimate_rules, probability
from policy.estimate.daily import daily
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimated:
    """What the history says.

    Attributes:
        estimates: ESTIMATES of every tenant with a history.
        risks: RISKS of the limits that these tenants have.
    """

    estimates: pl.DataFrame
    risks: pl.DataFrame


def estimated(
    database: Database,
    *,
    settings: Settings,
    limits: Mapping[str, str],
    in_force: Callable[[pl.Series, Collection[str]], pl.DataFrame],
    now: datetime,
) -> Estimated:
    """Estimate the demand on every limit, and how likely the limit in force is hit.

    Args:
        database: the history, rolled up.
        settings: window, strategy, spikes.
        limits: the signal that the demand on each limit is read from.
        in_force: gives the LIMITS that these tenants have of these limits; of what it leaves out
            no risk is told.
        now: aware UTC.
    """
    rules = estimate_rules(settings)

    def read(part: Mapping[str, str]) -> tuple[pl.DataFrame, pl.DataFrame]:
        return (
            days(database, now=now, window=rules.window, limits=part),
            highest_hours(database, limits=part, by_day_hour=bool(rules.hour_factors)),
        )

    estimates, risks = [empty(ESTIMATES)], [empty(RISKS)]
    batches = limit_batches(database, now=now, window=rules.window, limits=limits)
    for known, hours in read_ahead(read, batches):
        for portion in _portions(known):
            rows = daily(portion, rules=rules, now=now)
            found = _alone(estimate_daily(rows, seasons=hours, rules=rules))
            had = in_force(found["tenant"].unique(), set(found["limit"])).join(
                found, on=["tenant", "limit"], how="semi"
            )
            estimates.append(found)
            risks.append(_alone(probability(rows, estimates=found, limits=had)))
    refused = refused_since(database, since=now - NOT_ROLLED_UP, now=now)
    return Estimated(
        estimates=pressed(pl.concat(estimates).sort("tenant", "limit"), refused=refused),
        risks=pl.concat(risks).sort("tenant", "limit"),
    )


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
