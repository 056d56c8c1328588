"""Synthetic demand for backtests: eight habits of tenants, hour by hour, from a seed.

A tenant has a daily curve, less of it at weekends, and noise. What the shapes add:

    flat       nothing
    growth     0.4 % a day
    weekly     twice the demand for four hours each Monday
    monthly    2.5 times the demand for four hours on the first day of each month
    random     1.6 times the demand for two hours, on one day in eight or so
    step       half as much again from the middle of the judged time on
    churn      a deployment each day: more series until the old ones are dropped two hours later
    blast      six times the demand for three hours, told as a blast
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from math import cos, pi
from random import Random
from typing import Final

import polars as pl

from policy.backtest_known import HOURS

SHAPES: Final = (
    "flat",
    "growth",
    "weekly",
    "monthly",
    "random",
    "step",
    "churn",
    "blast",
)
HOUR: Final = timedelta(hours=1)
LEVEL: Final = 10_000.0
WORKDAYS: Final = range(5)
BATCH_HOURS: Final = range(10, 14)
DEPLOYED_HOURS: Final = (14, 15)


def past(*, begin: datetime, days: int, tenants: int, seed: int, limit: str) -> pl.DataFrame:
    """HOURS of so many tenants of each shape, named like `weekly-03`."""
    rows = [
        row
        for shape in SHAPES
        for number in range(tenants)
        for row in _hours(
            f"{shape}-{number:02}", shape=shape, begin=begin, days=days, seed=seed, limit=limit
        )
    ]
    return pl.DataFrame(rows, schema=HOURS, orient="row")


def _hours(
    tenant: str, *, shape: str, begin: datetime, days: int, seed: int, limit: str
) -> Iterator[tuple[object, ...]]:
    random = Random(f"{seed}/{tenant}")
    level = LEVEL * random.uniform(0.3, 3.0)
    surges = {day: random.randrange(8, 20) for day in range(days) if random.random() < 1 / 8}
    for hour in range(days * 24):
        at = begin + hour * HOUR
        usual = level * _curve(at) * (1 + random.gauss(0, 0.03))
        held = usual * _factor(shape, at=at, hour=hour, days=days, surges=surges)
        # The largest five minutes of an hour are a little above what it held.
        peak = held * (1 + abs(random.gauss(0, 0.04)))
        blast = shape == "blast" and hour % (24 * 30) in range(24 * 20 + 10, 24 * 20 + 13)
        highest = peak * 6 if blast else peak
        calm = None if blast else peak
        yield (tenant, limit, at, calm, highest, None if blast else held, highest * 0.95, 12)


def _curve(at: datetime) -> float:
    """A day from 0.6 at four in the morning to 1.4 in the afternoon; weekends are lower."""
    day = 1 - 0.4 * cos(2 * pi * (at.hour - 4) / 24)
    return day * (1.0 if at.weekday() in WORKDAYS else 0.85)


def _factor(shape: str, *, at: datetime, hour: int, days: int, surges: dict[int, int]) -> float:
    began = surges.get(hour // 24, at.hour + 1)
    at_work = at.weekday() in WORKDAYS
    factors = {
        "growth": float(1.004 ** (hour / 24)),
        "weekly": 2.0 if at.weekday() == 0 and at.hour in BATCH_HOURS else 1.0,
        "monthly": 2.5 if at.day == 1 and at.hour in BATCH_HOURS else 1.0,
        "random": 1.6 if at.hour in range(began, began + 2) else 1.0,
        "step": 1.5 if hour >= (days - 31) * 24 + 11 else 1.0,
        "churn": 1.25 if at_work and at.hour in DEPLOYED_HOURS else 1.0,
    }
    return factors.get(shape, 1.0)
