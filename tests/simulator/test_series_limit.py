"""The series limit bites on each ingester, and only on new series."""

from collections.abc import Callable
from typing import Any

import pytest

New = Callable[..., Any]

INGESTERS = ("ingester-0", "ingester-1", "ingester-2")
CREATED = "cortex_ingester_memory_series_created_total"
REMOVED = "cortex_ingester_memory_series_removed_total"
ACTIVE = "cortex_ingester_active_series"
INGESTED = "cortex_ingester_ingested_samples_total"
DISCARDED = "cortex_discarded_samples_total"
LOCAL = "cortex_ingester_local_limits"


def in_memory(world: Any, process: str = "ingester-0", **labels: str) -> float:  # noqa: ANN401
    return world.value(process, CREATED, **labels) - world.value(process, REMOVED, **labels)


def test_only_what_fits_the_limit_is_in_memory_and_the_rest_is_discarded(
    new_world: New, one_tenant: New
) -> None:
    world = new_world(
        [one_tenant("a", series=30_000)], {"a": {"max_global_series_per_user": 20_000}}
    )

    world.live(120)

    rejected = world.value("ingester-0", DISCARDED, reason="per_user_series_limit", user="a")
    stored = world.value("ingester-0", INGESTED)
    assert in_memory(world) == 20_000
    assert rejected / (stored + rejected) == pytest.approx(1 / 3, rel=0.01)


def test_raising_the_limit_lets_the_waiting_series_in(new_world: New, one_tenant: New) -> None:
    world = new_world(
        [one_tenant("a", series=30_000)], {"a": {"max_global_series_per_user": 20_000}}
    )
    world.live(30)

    world.write({"a": {"max_global_series_per_user": 50_000}})
    world.live(15)
    rejected = world.value("ingester-0", DISCARDED)
    world.live(60)

    assert in_memory(world) == 30_000
    assert world.value("ingester-0", DISCARDED) == rejected


def test_lowering_the_limit_frees_nothing_and_the_series_there_go_on(
    new_world: New, one_tenant: New
) -> None:
    world = new_world([one_tenant("a", series=30_000)])
    world.live(30)

    world.write({"a": {"max_global_series_per_user": 10_000}})
    world.live(60)

    assert world.value("ingester-0", LOCAL, user="a") == 10_000
    assert in_memory(world) == 30_000
    assert world.value("ingester-0", DISCARDED) == 0


@pytest.mark.parametrize(("ingesters", "local"), [(3, 60_000), (6, 30_000), (9, 20_000)])
def test_an_ingesters_part_is_the_limit_times_replicas_over_ingesters(
    new_world: New, one_tenant: New, ingesters: int, local: int
) -> None:
    world = new_world(
        [one_tenant("a")], {"a": {"max_global_series_per_user": 60_000}}, ingesters=ingesters
    )

    assert world.value("ingester-0", LOCAL, limit="max_global_series_per_user") == local


def test_zero_series_means_no_limit(new_world: New, one_tenant: New) -> None:
    world = new_world([one_tenant("a", series=400_000)], {"a": {"max_global_series_per_user": 0}})

    world.live(30)

    assert in_memory(world) == 400_000


def test_with_more_ingesters_than_replicas_the_series_add_up_to_the_replicas(
    new_world: New, one_tenant: New
) -> None:
    world = new_world([one_tenant("a", series=30_000)], ingesters=6)

    world.live(10)

    held = [in_memory(world, f"ingester-{index}") for index in range(6)]
    assert sum(held) == pytest.approx(3 * 30_000, abs=6)
    assert len(set(held)) > 1


def test_a_churning_tenant_holds_far_more_in_memory_than_is_active(
    new_world: New, one_tenant: New
) -> None:
    world = new_world([one_tenant("a", series=10_000, churn=1 / 3_600)])

    world.live(600)

    assert in_memory(world) > 2 * world.value("ingester-0", ACTIVE)
    assert world.value("ingester-0", ACTIVE) > 10_000


def test_replaced_series_leave_memory_at_the_compaction(new_world: New, one_tenant: New) -> None:
    """
    Otherwise churn would fill any limit in the end.
    """
    world = new_world([one_tenant("a", series=10_000, churn=1 / 3_600)])
    held = []

    while len(held) < 24:
        world.live(1_800)
        held.append(in_memory(world))

    assert max(held) <= 10_000 * (1 + 4.1)
    assert world.value("ingester-0", REMOVED) > 10_000


def test_series_that_pause_and_come_back_are_not_created_twice(
    new_world: New, one_tenant: New
) -> None:
    world = new_world([one_tenant("a", series=10_000)])
    world.cluster.blast("a", factor=2, seconds=60)
    world.live(120)
    created = world.value("ingester-0", CREATED)

    world.cluster.blast("a", factor=2, seconds=60)
    world.live(120)

    assert created == 20_000
    assert world.value("ingester-0", CREATED) == created
