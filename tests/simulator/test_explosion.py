"""An explosion of series: each sample a series that nobody has seen before."""

from collections.abc import Callable
from typing import Any

import pytest

New = Callable[..., Any]

CREATED = "cortex_ingester_memory_series_created_total"
REMOVED = "cortex_ingester_memory_series_removed_total"
DISCARDED = "cortex_discarded_samples_total"


def test_creation_leads_and_memory_grows_by_so_many_times_in_five_minutes(
    new_world: New, one_tenant: New
) -> None:
    world = new_world([one_tenant("a", series=10_000)], {"a": {"max_global_series_per_user": 0}})
    before = world.cluster.accounts["a"].asked

    world.cluster.blast("a", factor=10, seconds=300, kind="series")
    world.live(60)
    early = world.value("ingester-0", CREATED)
    world.live(240)

    assert early == pytest.approx(10_000 * (1 + 9 / 5), rel=0.02)
    assert world.value("ingester-0", CREATED) == pytest.approx(100_000, rel=0.02)
    assert world.value("ingester-0", REMOVED) == 0
    asked = (world.cluster.accounts["a"].asked - before) / 300
    assert asked == pytest.approx(4_000 + 300, rel=0.03), "the samples hardly show it"


def test_what_exploded_stays_in_memory_until_the_head_is_compacted(
    new_world: New, one_tenant: New
) -> None:
    world = new_world([one_tenant("a", series=10_000)])
    world.cluster.blast("a", factor=4, seconds=60, kind="series")
    world.live(60)
    full = world.value("ingester-0", CREATED)

    world.live(600)
    later = world.value("ingester-0", CREATED) - world.value("ingester-0", REMOVED)
    world.live(4 * 3_600)

    assert later == full > 10_000
    assert world.value("ingester-0", CREATED) - world.value("ingester-0", REMOVED) == 10_000


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("max_global_series_per_user", "per_user_series_limit"),
        ("max_global_series_per_metric", "per_metric_series_limit"),
    ],
)
def test_a_limit_on_series_stops_the_new_ones_and_no_others(
    new_world: New, one_tenant: New, limit: str, reason: str
) -> None:
    world = new_world([one_tenant("a", series=10_000)], {"a": {limit: 12_000}})
    world.cluster.blast("a", factor=20, seconds=300, kind="series")

    world.live(300)

    refused = world.value("ingester-0", DISCARDED, reason=reason, user="a")
    assert refused == world.value("ingester-0", DISCARDED)
    assert refused == pytest.approx(world.cluster.accounts["a"].limited, rel=0.01)
    held = world.value("ingester-0", "cortex_ingester_memory_series")
    assert held == 12_000 + (10_000 if limit.endswith("metric") else 0)


def test_the_limit_on_requests_is_checked_before_their_samples_are_known(
    new_world: New, one_tenant: New
) -> None:
    world = new_world(
        [one_tenant("a", samples=4_000)], {"a": {"request_rate": 2, "request_burst_size": 2}}
    )

    world.live(60)

    both = ("distributor-0", "distributor-1")
    asked = world.over(both, "cortex_distributor_requests_in_total")
    read = world.over(both, "cortex_distributor_samples_in_total") / 1_000
    refused = world.over(both, "cortex_discarded_requests_total", reason="rate_limited")
    assert asked == pytest.approx(60 * 4, rel=0.05)
    assert read == asked - refused == pytest.approx(60 * 2, rel=0.1)
