"""A rise of all tenants together is told once, with those that rose most, and caps nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flows.protect import protect
from storage.audit import newest_entries
from storage.cluster_rises import running_rises

INTERVAL = 15.0
NewWorld = Callable[..., Any]
# So that no breaker tells what the cluster is to tell.
NO_BLASTS = {"circuitBreaker": {"blastProtection": {"useAutoThresholds": False}}}


def told(world: Any, action: str) -> list[dict[str, Any]]:  # noqa: ANN401 - of conftest
    found = newest_entries(world.database, newest=1_000).filter(action=action)
    return [json.loads(details) for details in found["details"]]


def metric(world: Any) -> Any:  # noqa: ANN401 - of conftest
    return world.runtime.telemetry.registry.get_sample_value(
        "mimir_limit_optimizer_cluster_rise", {"kind": "ingestion"}
    )


async def test_a_rise_of_everybody_is_told_once_until_it_is_over_also_after_a_restart(
    new_world: NewWorld,
) -> None:
    world = new_world(tree={"mode": "dry-run", **NO_BLASTS})
    await world.run(protect)
    await world.run(protect, after=INTERVAL)
    calm = metric(world)
    for tenant in world.cluster.accounts:
        world.cluster.blast(tenant, factor=5, seconds=120)

    said = []
    for _ in range(3):
        said += await world.run(protect, after=INTERVAL)
    risen = metric(world)
    world.restart()
    for _ in range(40):
        said += await world.run(protect, after=INTERVAL)

    lines = [line for line in said if "cluster" in line]
    assert [line.split(":")[0] for line in lines] == [
        "the cluster is out of the usual",
        "the rise of the whole cluster (ingestion) is over",
    ]
    assert (calm, risen, metric(world)) == (0, 1, 0)
    (began,), (over,) = told(world, "cluster_rise_began"), told(world, "cluster_rise_over")
    assert next(iter(began["tenants"])) == "diurnal-1", "by far the largest"
    assert began["value"] > 3 * began["usual"]
    assert over["kind"] == "ingestion"
    assert running_rises(world.database).is_empty()


async def test_a_calm_cluster_is_not_told(new_world: NewWorld) -> None:
    world = new_world()

    for _ in range(20):
        said = await world.run(protect, after=INTERVAL)
        assert not [line for line in said if "cluster" in line]
