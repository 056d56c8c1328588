"""Replay the stored past through policies, a hundred tenants at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.backtest import Result, backtest, together
from policy.backtest_known import DAY, HOUR
from policy.backtest_policy import candidate_of
from policy.errors import ConfigError
from policy.settings import Settings
from policy.signals import INGESTION_BURST_SIZE, INGESTION_RATE, SAMPLES_PER_REQUEST
from policy.tenancy import in_scope, looked_after
from policy.tuned import tuned
from storage.backtests import Ask, hours, limits_at, span, tenants

TENANTS_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be replayed.

    Attributes:
        back: how much of the past is judged; less where less is stored.
        every: from one decision to the next, whole hours.
        tenants: globs; none means all that are looked after.
        limits: names; none means all that are sized.
    """

    back: timedelta
    every: timedelta = HOUR
    tenants: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replayed:
    """What came of it: one result per policy, in the order in which they were given."""

    since: datetime
    until: datetime
    results: tuple[Result, ...]


def replay(ask: Ask, *, policies: Mapping[str, Settings], asked: Asked, now: datetime) -> Replayed:
    """Judge policies by the stored past.

    The first policy's settings say who is looked after. Each tenant begins with the limits that
    it had then.

    Args:
        ask: answers a statement about the history.
        policies: settings by the name of the policy, at least one.
        asked: what of the past.
        now: aware UTC.

    Raises:
        ConfigError: nothing is stored, or nothing of what was asked for.
    """
    since, until = _time(ask, back=asked.back, now=now)
    live = next(iter(policies.values()))
    known = looked_after(tenants(ask, since=since, until=until), settings=live)
    names = in_scope(known, skip=(), include=asked.tenants)
    if names.is_empty():
        raise ConfigError(
            f"no tenant has a history since {since:%Y-%m-%d %H:%M}"
            f"{' and a name like ' + ' or '.join(asked.tenants) if asked.tenants else ''}; "
            "`mlo tenants` lists all"
        )
    found: dict[str, list[Result]] = {name: [] for name in policies}
    for first in range(0, len(names), TENANTS_AT_ONCE):
        some = names.slice(first, TENANTS_AT_ONCE)
        for name, settings in policies.items():
            sized = _sized(settings, only=asked.limits)
            start = limits_at(ask, tenants=some, limits=sized, at=since)
            past = hours(
                ask,
                limits={**sized, SAMPLES_PER_REQUEST: SAMPLES_PER_REQUEST},
                tenants=some.to_list(),
                since=since - settings.trend_analysis.analysis_window - DAY,
                until=until,
            )
            found[name].append(
                backtest(
                    past,
                    start=start,
                    candidate=candidate_of(
                        settings, name=name, tenants=some, limits=sized, every=asked.every
                    ),
                    begin=since,
                    end=until,
                    every=asked.every,
                )
            )
    return Replayed(
        since=since,
        until=until,
        results=tuple(together(parts) for parts in found.values()),
    )


def worst(result: Result, *, count: int) -> pl.DataFrame:
    """The OUTCOMES with the most refused minutes, those without any left out."""
    return (
        result.outcomes.filter(pl.col("hours_refused") > 0)
        .sort("minutes_refused", "tenant", "limit", descending=[True, False, False])
        .head(count)
    )


def _time(ask: Ask, *, back: timedelta, now: datetime) -> tuple[datetime, datetime]:
    """The begin and the end of what is judged: whole hours of which something is stored."""
    stored = span(ask)
    if stored is None:
        raise ConfigError("there is no history to replay yet; `mlo up` makes one")
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    until = min(stored[1], this_hour)
    since = max(stored[0], until - back)
    if since >= until:
        raise ConfigError("there is no whole hour of history to replay yet; try again later")
    return since, until


def _sized(settings: Settings, *, only: Collection[str]) -> dict[str, str]:
    """The limits that are decided, each with its signal.

    Raises:
        ConfigError: one that was named is not sized.
    """
    sized = tuned(settings.limits)
    if strange := sorted(set(only) - set(sized)):
        raise ConfigError(
            f"{', '.join(strange)} is not sized, so there is nothing to replay; sized are "
            f"{', '.join(sized)}"
        )
    # The burst follows the rate.
    wanted = {*only, INGESTION_RATE} if INGESTION_BURST_SIZE in only else set(only)
    return {name: signal for name, signal in sized.items() if not wanted or name in wanted}
