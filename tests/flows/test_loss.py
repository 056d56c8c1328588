"""The volume is lost, or an old copy is in its place: what is published stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.backfill import Asked, backfilled
from flows.optimize import optimize
from flows.protect import protect
from policy.pins import Pin
from policy.signals import SAMPLES_RECEIVED
from storage.backfills import days_done
from storage.costs import costs_between
from storage.limits import observed_limits
from storage.maintenance import snapshot
from storage.pins import pin
from storage.restoring import restore

INTERVAL = 15.0
HOUR, DAY = 3600.0, 24 * 3600.0
RATE = "ingestion_rate"
PINNED = ("steady-1", RATE)

NewWorld = Callable[..., Any]
World = Any


async def published(world: World) -> None:
    """Let the history decide, write, and see it loaded by every process."""
    for flow in (protect, optimize, protect):
        await world.run(flow, after=INTERVAL)


async def pinned(world: World, value: float) -> None:
    """Pin a limit, and see it loaded."""
    word = Pin(
        tenant=PINNED[0],
        limit=PINNED[1],
        value=value,
        reason="a test",
        by="ben",
        since=world.clock(),
        until=None,
    )
    pin(world.database, word)
    for _ in range(2):
        await world.run(protect, after=INTERVAL)


def lowered(world: World, before: dict[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """What of it is in the document no more, or with a smaller value."""
    now = world.limits()
    return {key: value for key, value in before.items() if now.get(key, 0.0) < value}


async def test_what_a_lost_history_takes_along_is_said_once(new_world: NewWorld) -> None:
    world = new_world()
    await published(world)
    await pinned(world, 77_000)
    before = world.limits()
    world.restart(lose_history=True)

    said = [await world.run(flow, after=INTERVAL) for flow in (protect, optimize, protect)]

    told = [line for lines in said for line in lines if "taken over" in line]
    tenants = len({tenant for tenant, _ in before})
    assert len(told) == 1
    assert f"{len(before)} limits of {tenants} tenants" in told[0]
    assert "pins, holds and a pause" in told[0]
    assert world.limits() == before, "the pin's value stays, as a value"
    assert world.layer("pin").is_empty()


async def test_in_the_first_hours_of_a_new_history_nothing_is_lowered(new_world: NewWorld) -> None:
    """It knows a few hours of demand, and what was published was sized by many days."""
    world = new_world()
    await published(world)
    await pinned(world, 77_000)
    before = world.limits()
    world.restart(lose_history=True)

    for _ in range(8):
        await world.run(protect, after=HOUR - INTERVAL)
        await world.run(protect, after=INTERVAL)
        await world.run(optimize)

    assert lowered(world, before) == {}


async def test_a_backfill_brings_the_costs_back_and_touches_no_limit(
    new_world: NewWorld, tmp_path: Path
) -> None:
    priced = {"costMethod": "samples", "prices": [{"from": "2026-01-01", "perMillionSamples": 1}]}
    world = new_world(tree={"mode": "prod", "costControl": priced})
    await published(world)
    document = world.file.read_bytes()
    world.restart(lose_history=True)
    await world.run(protect, after=INTERVAL)
    first, day = datetime(2026, 11, 20, tzinfo=UTC), timedelta(days=1)
    hours = [first + timedelta(hours=hour) for hour in range(48)]
    usage = tmp_path / "usage.csv"
    rows = [f"{at.isoformat()},steady-1,{SAMPLES_RECEIVED},1000000" for at in hours]
    usage.write_text("\n".join(["at,tenant,signal,mean", *rows]))

    with world.runtime.run("backfill") as run:
        await backfilled(world.runtime, run, asked=Asked(file=str(usage)), tell=quietly)
    await world.run(optimize, after=INTERVAL)

    costs = costs_between(world.database, start=first, end=first + 2 * day)
    assert costs.filter(tenant="steady-1")["amount"].sum() == Decimal(48 * 3600)
    assert list(days_done(world.database, source="file")) == [first.date(), (first + day).date()]
    assert world.file.read_bytes() == document


async def quietly(_progress: object) -> None:
    """Nobody watches."""


@pytest.mark.parametrize("days", [0, 3])
async def test_a_restored_history_lowers_nothing_that_was_raised_since(
    new_world: NewWorld, days: int
) -> None:
    """It was copied before anything was published."""
    world = new_world()
    await world.run(protect)
    copy = snapshot(world.database, target=world.folder / "copy.duckdb")
    await published(world)
    await pinned(world, 77_000)
    before = world.limits()

    world.now += days * DAY
    said = await restored(world, copy)

    (told,) = [line for line in said if "taken over" in line]
    assert told.endswith("as it is newer than the restored history")
    assert lowered(world, before) == {}
    ours = observed_limits(world.database).join(
        pl.DataFrame(list(before), schema=["tenant", "limit"], orient="row"), on=["tenant", "limit"]
    )
    assert ours.is_empty(), "what is ours is not taken for the operator's own"


async def test_what_people_said_before_the_copy_was_made_is_in_force_again(
    new_world: NewWorld,
) -> None:
    world = new_world()
    await published(world)
    await pinned(world, 77_000)
    copy = snapshot(world.database, target=world.folder / "copy.duckdb")
    before = world.limits()

    await restored(world, copy)

    assert lowered(world, before) == {}
    assert world.layer("pin").select("tenant", "limit", "value").rows() == [(*PINNED, 77_000.0)]


async def restored(world: World, copy: Path) -> list[str]:
    """What is said after a restore and a start."""
    world.end()
    restore(str(world.folder / "history.duckdb"), copy, by="anna", reason=None, at=world.clock())
    world.begin()
    heard = len(world.said)
    for flow in (protect, optimize, protect, protect):
        await world.run(flow, after=INTERVAL)
    said: list[str] = world.said[heard:]
    return said
