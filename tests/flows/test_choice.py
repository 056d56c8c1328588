"""Which limits are acted on is the operator's choice, and a change of it needs no restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flows.optimize import optimize
from flows.protect import protect

INTERVAL = 15.0  # seconds between two runs of protect
RATE = "ingestion_rate"

NewWorld = Callable[..., Any]


async def test_what_is_switched_off_is_withdrawn_at_the_next_run(new_world: NewWorld) -> None:
    world = new_world()
    await world.run(protect)
    await world.run(optimize, after=INTERVAL)
    await world.run(protect, after=INTERVAL)
    published = world.limits()
    world.tree = {"mode": "prod", "limits": {"disabled": [RATE]}}

    await world.run(optimize, after=INTERVAL)

    assert any(limit == RATE for _, limit in published)
    assert world.limits() == {key: value for key, value in published.items() if key[1] != RATE}
    assert RATE not in world.layer("optimized")["limit"].to_list()


async def test_the_bounds_of_a_definition_bound_what_is_published(new_world: NewWorld) -> None:
    definition = {"max": 11_000, "bufferPercentage": 90}
    tree = {"mode": "prod", "limits": {"definitions": {RATE: definition}}}
    world = new_world(tree=tree)
    await world.run(protect)

    await world.run(optimize, after=INTERVAL)

    assert world.limits()["bursty-1", RATE] == definition["max"]
