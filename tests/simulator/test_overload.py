"""Processes have a size: without a core left they refuse, with too much in memory they crash."""

from collections.abc import Callable
from typing import Any

import pytest

from simulator import Fault, Size, operator_overrides, roster

New = Callable[..., Any]

GIB = 2.0**30
NO_LIMIT = {
    "a": {
        "ingestion_rate": 1e9,
        "ingestion_burst_size": 10**9,
        "max_global_series_per_user": 0,
    }
}
REJECTED = "cortex_distributor_instance_rejected_requests_total"
STARTED = "process_start_time_seconds"


def test_a_distributor_without_a_core_left_refuses_pushes_and_says_so(
    new_world: New, one_tenant: New
) -> None:
    world = new_world([one_tenant("a", samples=20_000)], NO_LIMIT, smallest=Size(1, 64 * GIB))
    cores = world.cluster.distributors[0].size.cores
    world.live(30)
    calm = world.value("distributor-0", REJECTED)

    world.cluster.blast("a", factor=20, seconds=120)
    world.live(60)
    pushes = world.value("distributor-0", "cortex_distributor_inflight_push_requests")

    assert calm == 0
    assert pushes > 100
    assert world.value("distributor-0", REJECTED) > 0
    account = world.cluster.accounts["a"]
    assert account.limited == 0
    assert account.overloaded > 0
    passing = world.value("distributor-0", "cortex_distributor_ingestion_rate_samples_per_second")
    assert passing == pytest.approx(cores * 25_000, rel=0.1)


def test_a_moment_above_what_it_has_only_lets_pushes_wait(new_world: New, one_tenant: New) -> None:
    world = new_world([one_tenant("a", samples=20_000)], NO_LIMIT, smallest=Size(1, 64 * GIB))

    world.cluster.blast("a", factor=8, seconds=3)
    world.live(30)

    account = world.cluster.accounts["a"]
    assert account.overloaded == 0
    assert account.admitted == pytest.approx(account.asked, rel=0.01)


def test_what_the_limiter_drops_costs_less_than_what_it_lets_pass(
    new_world: New, one_tenant: New
) -> None:
    """
    That is why a cap helps a cluster at all.
    """
    lost = []
    for limit in (1e9, 20_000.0):
        world = new_world(
            [one_tenant("a", samples=20_000)],
            {"a": {"ingestion_rate": limit, "ingestion_burst_size": 20_000}},
            smallest=Size(1, 64 * GIB),
        )
        world.cluster.blast("a", factor=8, seconds=120)
        world.live(120)
        lost.append(world.cluster.accounts["a"].overloaded)

    assert lost[0] > 0
    assert lost[1] == 0


def test_an_ingester_over_its_memory_starts_again_with_what_is_being_sent(
    new_world: New, one_tenant: New
) -> None:
    world = new_world(
        [one_tenant("a", series=100_000)],
        {"a": {"max_global_series_per_user": 0}},
        smallest=Size(4, GIB),
        headroom=1.5,
    )
    world.live(60)
    started = world.value("ingester-0", STARTED)

    world.cluster.blast("a", factor=3, seconds=20)
    world.live(15)
    during = world.get("/ingester-0/metrics").status
    world.live(105)

    assert during == 503
    assert world.value("ingester-0", STARTED) > started
    assert world.value("ingester-0", "cortex_ingester_memory_series") == 100_000
    assert world.value("ingester-0", "process_resident_memory_bytes") < world.value(
        "ingester-0", "go_gc_gomemlimit_bytes"
    )


def test_a_crash_takes_a_process_away_until_it_has_started_again(
    new_world: New, one_tenant: New
) -> None:
    world = new_world([one_tenant("a")])
    world.live(60)

    world.cluster.inject(Fault(process="ingester-1", kind="crash"))
    world.live(20)
    during = world.get("/ingester-1/ready").status
    world.live(20)

    assert during == 503
    assert world.get("/ingester-1/ready").status == 200
    assert world.value("ingester-1", STARTED) == world.now - 10
    assert world.value("ingester-1", "cortex_ingester_memory_series") == 30_000
    account = world.cluster.accounts["a"]
    assert (account.limited, account.overloaded) == (0, 0), "the other replicas have it all"


def test_the_distributors_that_are_left_take_what_the_lost_one_had(
    new_world: New, one_tenant: New
) -> None:
    world = new_world([one_tenant("a", samples=4_000)], {"a": {"ingestion_rate": 4_400}})
    world.live(60)

    world.cluster.inject(Fault(process="distributor-0", kind="crash", seconds=60))
    world.live(59)

    account = world.cluster.accounts["a"]
    assert account.admitted == pytest.approx(account.asked, rel=0.02)
    assert account.overloaded == 0


def test_with_every_ingester_gone_nothing_is_stored_and_it_is_told(
    new_world: New, one_tenant: New
) -> None:
    world = new_world([one_tenant("a", samples=4_000)])
    for ingester in world.cluster.ingesters:
        world.cluster.inject(Fault(process=ingester.name, kind="crash", seconds=10))

    world.live(10)

    assert world.cluster.accounts["a"].overloaded == pytest.approx(9 * 4_000, rel=0.1)


def test_the_demo_is_sized_for_its_own_blasts(new_world: New) -> None:
    tenants = roster(20)
    world = new_world(tenants, operator_overrides(tenants), blast_after_seconds=30)

    world.live(300)

    assert all(process.down_until == 0 for process in world.cluster.processes.values())
    assert all(account.overloaded == 0 for account in world.cluster.accounts.values())
    assert world.cluster.accounts["blasting-1"].limited > 0


def test_calm_ends_blasts_and_faults(new_world: New, one_tenant: New) -> None:
    world = new_world([one_tenant("a")], NO_LIMIT)
    world.cluster.blast("a", factor=10, seconds=600)
    world.cluster.inject(Fault(process="ingester-0", kind="unreachable"))
    world.live(30)

    world.cluster.calm()
    before = world.cluster.accounts["a"].asked
    world.live(10)

    assert world.cluster.accounts["a"].asked - before == pytest.approx(40_000, rel=0.1)
    assert world.get("/ingester-0/ready").status == 200
