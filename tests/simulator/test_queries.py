"""Queries wait in a queue of their tenant, and what finds no place there is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from simulator import SimulatorError

New = Callable[..., Any]

FRONTEND = "query-frontend"
ASKED = "cortex_query_frontend_queries_total"
SECONDS = "cortex_query_seconds_total"
REFUSED = "cortex_query_scheduler_discarded_requests_total"
WAITING = "cortex_query_scheduler_queue_length"


def asked_per_second(world: Any, tenant: str, *, over: float) -> float:  # noqa: ANN401
    before = world.value(FRONTEND, ASKED, user=tenant)
    world.live(over)
    return float(world.value(FRONTEND, ASKED, user=tenant) - before) / over


def test_a_blast_of_queries_asks_so_many_times_as_much_and_sends_no_more(
    new_world: New, one_tenant: New
) -> None:
    world = new_world([one_tenant("a", samples=20_000)], {"a": {"ingestion_rate": 100_000}})
    usual = asked_per_second(world, "a", over=60)
    before = world.cluster.accounts["a"].asked

    world.cluster.blast("a", factor=8, seconds=60, kind="queries")
    blast = asked_per_second(world, "a", over=60)

    assert blast / usual == pytest.approx(8, rel=0.1)
    assert world.cluster.accounts["a"].asked / before == pytest.approx(2, rel=0.05)


def test_a_full_queue_refuses_and_leaves_the_other_tenant_alone(
    new_world: New, one_tenant: New
) -> None:
    world = new_world([one_tenant("a", samples=20_000), one_tenant("b", samples=20_000)])

    world.cluster.blast("a", factor=50, seconds=600, kind="queries")
    world.live(60)

    assert world.value(FRONTEND, REFUSED, user="a") > 0
    assert world.value(FRONTEND, WAITING, user="a") == 100
    assert world.cluster.accounts["a"].queries_refused == world.value(FRONTEND, REFUSED, user="a")
    assert world.value(FRONTEND, REFUSED, user="b") == 0
    assert world.value(FRONTEND, WAITING, user="b") == 0
    cores = sum(querier.size.cores for querier in world.cluster.queriers)
    spent = sum(querier.cpu_seconds for querier in world.cluster.queriers)
    assert spent == pytest.approx(cores * 60, rel=0.05)


def test_a_tenant_is_answered_by_no_more_queriers_than_it_may_have(
    new_world: New, one_tenant: New
) -> None:
    answered = []
    for most in (0, 1):
        world = new_world([one_tenant("a")], {"a": {"max_queriers_per_tenant": most}})
        world.cluster.blast("a", factor=500, seconds=600, kind="queries")
        world.live(60)
        answered.append(world.value(FRONTEND, SECONDS, user="a"))

    assert answered[1] == pytest.approx(answered[0] / 2, rel=0.01)


def test_a_kind_of_blast_that_does_not_exist_is_refused(new_world: New, one_tenant: New) -> None:
    world = new_world([one_tenant("a")])

    with pytest.raises(SimulatorError, match="known: samples, series, queries"):
        world.cluster.blast("a", factor=2, seconds=1, kind="noise")
