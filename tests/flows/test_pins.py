"""An operator's word on one limit, from the history to the Mimir that loads it, and back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from flows.optimize import optimize
from flows.protect import protect
from policy.pins import Pin
from storage.layers import read_layers
from storage.pins import pin, unpin
from storage.runs import latest_runs
from storage.serve import serving

INTERVAL = 15.0  # seconds between two runs of protect
RATE, BURST = "ingestion_rate", "ingestion_burst_size"
TENANT = "bursty-1"

NewWorld = Callable[..., Any]


def say(world: Any, value: float, *, limit: str = RATE, until: datetime | None = None) -> None:  # noqa: ANN401 - the world of conftest
    """Pin from outside the process that owns the history, while it runs."""
    word = Pin(
        tenant=TENANT,
        limit=limit,
        value=value,
        reason="load test",
        by="anna",
        since=world.clock(),
        until=until,
    )
    with serving(world.database):
        pin(world.runtime.settings().storage.url, word)


def take_back(world: Any, *, limit: str = RATE) -> None:  # noqa: ANN401 - the world of conftest
    with serving(world.database):
        unpin(
            world.runtime.settings().storage.url,
            tenant=TENANT,
            limit=limit,
            by="ben",
            reason=None,
            at=world.clock(),
        )


async def decided(world: Any) -> float:  # noqa: ANN401 - the world of conftest
    """Let the history decide and Mimir load it; the rate that TENANT then has."""
    await world.run(protect)
    await world.run(optimize, after=INTERVAL)
    await world.run(protect, after=INTERVAL)
    return float(world.loaded(TENANT))


async def test_a_pin_is_loaded_within_one_interval_and_gives_back_what_was_beneath(
    new_world: NewWorld,
) -> None:
    world = new_world()
    before = await decided(world)
    document = world.file.read_bytes()

    say(world, 500_000)
    said = await world.decided(protect, after=INTERVAL)
    settled = await world.decided(protect, after=INTERVAL)

    assert said[0].startswith("revision 3 written to file: ")
    assert settled[0].startswith("revision 3 confirmed")
    assert world.loaded(TENANT) == 500_000

    take_back(world)
    await world.run(protect, after=INTERVAL)
    settled = await world.decided(protect, after=INTERVAL)

    assert settled[0].startswith("revision 4 confirmed")
    assert world.file.read_bytes() == document
    assert world.loaded(TENANT) == before


async def test_a_pin_that_expires_gives_back_what_was_beneath(new_world: NewWorld) -> None:
    world = new_world()
    before = await decided(world)

    say(world, 500_000, until=world.clock() + timedelta(minutes=1))
    await world.run(protect, after=INTERVAL)
    await world.run(protect, after=INTERVAL)
    pinned_to = world.loaded(TENANT)
    await world.run(protect, after=60)
    await world.run(protect, after=INTERVAL)

    assert (pinned_to, world.loaded(TENANT)) == (500_000, before)
    assert world.revisions()[-1] == ("optimizer", "confirmed")


async def test_optimize_publishes_a_pin_too_and_leaves_its_own_word_beneath(
    new_world: NewWorld,
) -> None:
    """What is pinned is no move of ours: the layer beneath keeps its value and its age."""
    world = new_world()
    await decided(world)
    ours = world.layer("optimized").filter(tenant=TENANT, limit=RATE)

    say(world, 500_000)
    await world.run(optimize, after=INTERVAL)

    assert world.limits()[TENANT, RATE] == 500_000
    assert world.layer("optimized").filter(tenant=TENANT, limit=RATE).equals(ours)


async def test_a_limit_that_we_never_size_is_pinned_and_is_the_operators_again(
    new_world: NewWorld,
) -> None:
    limit = "max_fetched_series_per_query"
    world = new_world()
    await decided(world)
    own = world.loaded(TENANT, limit)

    say(world, 4_321, limit=limit)
    await world.run(protect, after=INTERVAL)
    await world.run(protect, after=INTERVAL)
    pinned_to = world.loaded(TENANT, limit)
    take_back(world, limit=limit)
    await world.run(protect, after=INTERVAL)
    await world.run(protect, after=INTERVAL)

    assert pinned_to == 4_321
    assert (TENANT, limit) not in world.limits()
    assert world.loaded(TENANT, limit) == own


async def test_a_pinned_burst_below_the_rate_does_not_stop_the_others(new_world: NewWorld) -> None:
    world = new_world()
    await decided(world)

    say(world, 5_000, limit=BURST)
    said = await world.decided(protect, after=INTERVAL)
    await world.run(protect, after=INTERVAL)

    assert said[0].startswith("revision 3 written")
    assert (world.loaded(TENANT), world.loaded(TENANT, BURST)) == (5_000, 5_000)


async def test_a_tenant_is_blocked_by_a_pin_and_let_in_again(new_world: NewWorld) -> None:
    world = new_world(tree={"mode": "prod", "limits": {"minLimits": {RATE: 0}}})
    before = await decided(world)

    say(world, 0)
    await world.run(protect, after=INTERVAL)
    await world.run(optimize, after=INTERVAL)
    blocked = world.loaded(TENANT)
    take_back(world)
    await world.run(protect, after=INTERVAL)
    await world.run(protect, after=INTERVAL)

    assert (blocked, world.loaded(TENANT)) == (0, before)


async def test_a_tenant_stays_blocked_when_the_history_is_lost(new_world: NewWorld) -> None:
    """Only a pin may block: as a word of ours the 0 would stop the document for everybody."""
    world = new_world(tree={"mode": "prod", "limits": {"minLimits": {RATE: 0}}})
    await decided(world)
    say(world, 0)
    await world.run(protect, after=INTERVAL)
    await world.run(protect, after=INTERVAL)

    world.restart(lose_history=True)
    said = [await world.run(flow, after=INTERVAL) for flow in (protect, optimize, protect)]

    assert world.limits()[TENANT, RATE] == 0
    assert world.layer("pin").select("tenant", "limit", "value").rows() == [(TENANT, RATE, 0.0)]
    assert not any("not published" in line for lines in said for line in lines)


async def test_in_a_dry_run_a_pin_is_shown_and_not_written(new_world: NewWorld) -> None:
    world = new_world(tree={"mode": "dry-run"}, past=False)
    await world.run(protect)
    document = world.file.read_bytes()

    say(world, 500_000)
    await world.run(protect, after=INTERVAL)

    newest = latest_runs(world.database).filter(flow="protect").row(0, named=True)
    assert '"publish": "would"' in newest["summary"]
    assert world.file.read_bytes() == document
    assert world.revisions() == []


async def test_a_dry_run_in_between_does_not_take_a_pin_for_a_word_of_ours(
    new_world: NewWorld,
) -> None:
    """What stands published in a dry run is kept as decided, but a pin was never decided."""
    world = new_world()
    before = await decided(world)
    say(world, 500_000)
    await world.run(protect, after=INTERVAL)
    await world.run(protect, after=INTERVAL)

    world.tree = {"mode": "dry-run"}
    await world.run(optimize, after=INTERVAL)
    words = read_layers(world.database, now=world.clock()).filter(
        (pl.col("tenant") == TENANT) & (pl.col("limit") == RATE) & (pl.col("layer") != "pin")
    )

    assert words["value"].to_list() == [before]
