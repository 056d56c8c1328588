"""Thirty calm days of six habits, in which protection may hold nobody.

    python -m benchmarks.calm [TENANTS_OF_EACH_HABIT [SEED]]

No cluster: the decision itself looks at every five minutes of the demand of `benchmarks/shapes.py`,
spread over minutes with noise, and sees the highest minute of them. Limits are tight, 1.2 times the
highest demand of the first two days, so that growth alone comes near them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

import polars as pl

from benchmarks.shapes import past
from policy.drill import Look, Protection
from policy.drill_protection import breaker_of
from policy.frames import LAYERS, LIMITS, SAMPLES, empty
from policy.settings import Settings
from policy.signals import INGESTION_RATE, SAMPLES_ASKED

HABITS: Final = ("flat", "growth", "weekly", "monthly", "random", "step")
DAYS: Final = 30
BEGIN: Final = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
EVERY: Final = "5m"
BASELINE_LOOKS: Final = 72  # six hours of them
NOISE: Final = 0.05
ROOM: Final = 1.2


def looks(*, tenants: int, seed: int, days: int) -> Iterator[Look]:
    """What protection would see, five minutes after five minutes."""
    minutes = _minutes(tenants=tenants, seed=seed, days=days)
    seen = (
        minutes.group_by_dynamic("at", every=EVERY, group_by="tenant")
        .agg(value=pl.col("value").max(), mean=pl.col("value").mean())
        .with_columns(
            baseline=pl.col("mean")
            .shift(1)
            .rolling_median(BASELINE_LOOKS, min_samples=1)
            .over("tenant", order_by="at"),
            signal=pl.lit(SAMPLES_ASKED),
            coverage=pl.lit(1.0),
        )
        .sort("at", "tenant")
    )
    first = minutes.filter(pl.col("at") < BEGIN + timedelta(days=2))
    limits = first.group_by("tenant").agg(value=pl.col("value").max() * ROOM)
    in_force = limits.with_columns(limit=pl.lit(INGESTION_RATE)).select(LIMITS.names()).cast(LIMITS)
    for moment in seen.partition_by("at", maintain_order=True):
        yield Look(
            at=moment["at"][0],
            demand=moment.select(SAMPLES.names()).cast(SAMPLES),
            baseline=moment.select("tenant", "baseline").drop_nulls(),
            in_force=in_force,
            known=empty(LAYERS),
        )


def held(protection: Protection, *, tenants: int, seed: int, days: int = DAYS) -> dict[str, int]:
    """How many looks each tenant was held at; who never was has no entry."""
    found: dict[str, int] = {}
    for look in looks(tenants=tenants, seed=seed, days=days):
        for tenant in set(protection(look)["tenant"]):
            found[tenant] = found.get(tenant, 0) + 1
    return found


def calm_days(*, tenants: int = 2, seed: int = 1) -> list[str]:
    """The lines that tell of it."""
    found = held(breaker_of(Settings()), tenants=tenants, seed=seed)
    everyone = tenants * len(HABITS)
    lines = [f"{DAYS} calm days, {everyone} tenants of {len(HABITS)} habits: {len(found)} held"]
    return lines + [f"    {tenant}: {count:,} looks" for tenant, count in sorted(found.items())]


def _minutes(*, tenants: int, seed: int, days: int) -> pl.DataFrame:
    """tenant, at, value: samples/s, minute by minute; the highest is what the hour says."""
    hours = past(begin=BEGIN, days=days, tenants=tenants, seed=seed, limit=INGESTION_RATE)
    rows = [
        row
        for tenant, at, highest, mean in hours.select("tenant", "at", "highest", "mean").iter_rows()
        if tenant.partition("-")[0] in HABITS
        for row in _hour(tenant, at, highest=highest, mean=mean, seed=seed)
    ]
    schema = pl.Schema({"tenant": pl.String(), "at": SAMPLES["at"], "value": pl.Float64()})
    return pl.DataFrame(rows, schema=schema, orient="row").sort("tenant", "at")


def _hour(
    tenant: str, at: datetime, *, highest: float, mean: float, seed: int
) -> Iterator[tuple[str, datetime, float]]:
    random = Random(f"{seed}/{tenant}/{at}")
    peak = random.randrange(60)
    for minute in range(60):
        value = highest if minute == peak else min(highest, mean * (1 + random.gauss(0, NOISE)))
        yield tenant, at + timedelta(minutes=minute), value


if __name__ == "__main__":
    numbers = [*map(int, sys.argv[1:]), *(2, 1)[len(sys.argv) - 1 :]]
    print("\n".join(calm_days(tenants=numbers[0], seed=numbers[1])))
