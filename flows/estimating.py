"""Estimate demand and risk from the history: all tenants' days, a few limits at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from policy.estimate import RISKS, estimate_rules
from policy.estimate.pressure import pressed
from policy.frames import ESTIMATES, empty
from policy.settings import Settings
from storage.ahead import read_ahead
from storage.database import Database
from storage.peaks import days, limit_batches
from storage.samples import refused_since
from storage.seasons import highest_hours
from tasks.estimate import PART_SECONDS, estimate_part, estimated_days
from tasks.spreading import NotBroughtBack, spread, workers

NOT_ROLLED_UP: Final = timedelta(minutes=10)
# An estimate needs a few times the memory of the days that it is made of.
DAYS_AT_ONCE: Final = 350_000
DAYS_SENT: Final = 100_000  # some 8 MB: of more in one message Dask warns


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

    Raises:
        NotBroughtBack: the workers of a Dask cluster did not do their part of it.
    """
    rules = estimate_rules(settings)

    def read(part: Mapping[str, str]) -> tuple[pl.DataFrame, pl.DataFrame]:
        return (
            days(database, now=now, window=rules.window, limits=part),
            highest_hours(database, limits=part, by_day_hour=bool(rules.hour_factors)),
        )

    batches = limit_batches(database, now=now, window=rules.window, limits=limits)
    among = workers()

    def parts() -> Iterator[dict[str, Any]]:
        for known, hours in read_ahead(read, batches):
            for days_of_some in _portions(known, rows=DAYS_SENT if among else DAYS_AT_ONCE):
                tenants, names = (days_of_some[key].unique() for key in ("tenant", "limit"))
                yield {
                    "days": days_of_some,
                    "seasons": _of(hours, tenants) if among else hours,
                    "had": in_force(tenants.cast(pl.String), set(names)),
                    "rules": rules,
                    "now": now,
                }

    estimates, risks = [empty(ESTIMATES)], [empty(RISKS)]
    for found in _found(parts(), among=among):
        if isinstance(found, NotBroughtBack):
            raise found
        estimates.append(found[0])
        risks.append(found[1])
    refused = refused_since(database, since=now - NOT_ROLLED_UP, now=now)
    return Estimated(
        estimates=pressed(pl.concat(estimates).sort("tenant", "limit"), refused=refused),
        risks=pl.concat(risks).sort("tenant", "limit"),
    )


def _found(
    parts: Iterable[dict[str, Any]], *, among: tuple[str, ...]
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame] | NotBroughtBack]:
    """ESTIMATES and RISKS of each part: of the workers, or where there are none made here."""
    if not among:
        return (estimated_days(**part) for part in parts)
    return spread(estimate_part, parts, among=among, patience_seconds=PART_SECONDS)


def _of(hours: pl.DataFrame, tenants: pl.Series) -> pl.DataFrame:
    return hours.filter(pl.col("tenant").is_in(tenants.cast(pl.String).implode()))


def _portions(days: pl.DataFrame, *, rows: int) -> Iterator[pl.DataFrame]:
    """The days in parts of about so many rows, no tenant's days of one limit parted."""
    keys = ("tenant", "limit")
    begins = days.select(pl.any_horizontal(pl.col(key) != pl.col(key).shift() for key in keys))
    first_rows = begins.to_series().arg_true()
    start = 0
    while start < days.height:
        later = first_rows.filter(first_rows >= start + rows)
        end = days.height if later.is_empty() else later[0]
        yield days.slice(start, end - start)
        start = end
