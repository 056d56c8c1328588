"""An explosion of one metric is held at that metric, and the others of the tenant go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flows.protect import protect
from policy.metric_caps import PER_METRIC
from simulator.cardinality import EXPLODING
from storage.breaker_metrics import read_metrics
from tests.flows.test_top_metrics import INTERVAL, TENANT, TOLD_AT_ONCE, exploding

NewWorld = Callable[..., Any]


def exploded(world: Any) -> float:  # noqa: ANN401 - of conftest
    """Series in memory of the metric that explodes, at the fullest ingester."""
    return max(one.tenants[TENANT].exploded for one in world.cluster.ingesters)


async def test_the_metric_that_grows_is_capped_loaded_and_let_go(new_world: NewWorld) -> None:
    world = new_world(tree={"mode": "prod", **TOLD_AT_ONCE})

    await exploding(world, looks=4)

    (cap,) = world.layer("breaker").filter(limit=PER_METRIC).to_dicts()
    answers = read_metrics(world.database)
    others = answers.filter(answers["metric"] != EXPLODING)["series"].max()
    assert cap["tenant"] == TENANT
    assert EXPLODING in cap["reason"]
    assert cap["value"] >= others * 1.1
    assert world.limits()[TENANT, PER_METRIC] == cap["value"]

    await world.run(protect, after=INTERVAL)
    held = exploded(world)
    await world.run(protect, after=INTERVAL)
    assert exploded(world) == held
    assert world.cluster.ingesters[0].tenants[TENANT].rejected_by_metric > 0

    world.cluster.calm()
    for _ in range(60):
        await world.run(protect, after=INTERVAL)
    assert world.layer("breaker").is_empty()
    assert (TENANT, PER_METRIC) not in world.limits()


async def test_in_a_dry_run_the_metric_is_named_and_not_capped(new_world: NewWorld) -> None:
    world = new_world(tree={"mode": "dry-run", **TOLD_AT_ONCE})

    await exploding(world, looks=4)

    assert EXPLODING in read_metrics(world.database)["metric"]
    assert world.layer("breaker").is_empty()
