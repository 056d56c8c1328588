"""The loop closes: what the runtime file says decides what the distributors let pass."""

from collections.abc import Callable
from typing import Any

import pytest

New = Callable[..., Any]

DISTRIBUTORS = ("distributor-0", "distributor-1")
IN = "cortex_distributor_samples_in_total"
RECEIVED = "cortex_distributor_received_samples_total"
DISCARDED = "cortex_discarded_samples_total"
# Mimir's reload period and the time after which its limiters look the limit up again.
BOUND_SECONDS = 10 + 10 + 1


def test_a_limit_too_low_lets_about_the_limit_pass_and_discards_the_rest(
    new_world: New, one_tenant: New
) -> None:
    world = new_world(
        [one_tenant("a", samples=4_000)],
        {"a": {"ingestion_rate": 1_000, "ingestion_burst_size": 2_000}},
    )
    world.live(60)
    received, asked = (world.over(DISTRIBUTORS, family) for family in (RECEIVED, IN))

    world.live(300)

    assert (world.over(DISTRIBUTORS, RECEIVED) - received) / 300 == pytest.approx(1_000, rel=0.03)
    assert (world.over(DISTRIBUTORS, IN) - asked) / 300 == pytest.approx(4_000, rel=0.04)


def test_what_was_asked_is_what_passed_and_what_was_discarded(
    new_world: New, one_tenant: New
) -> None:
    world = new_world([one_tenant("a")], {"a": {"ingestion_rate": 1_000}})

    world.live(200)

    discarded = world.over(DISTRIBUTORS, DISCARDED, reason="rate_limited", user="a", group="")
    assert discarded > 0
    assert world.over(DISTRIBUTORS, IN) == world.over(DISTRIBUTORS, RECEIVED) + discarded


def test_raising_the_limit_ends_the_discards_once_reloaded_and_rechecked(
    new_world: New, one_tenant: New
) -> None:
    world = new_world(
        [one_tenant("a")], {"a": {"ingestion_rate": 500, "ingestion_burst_size": 2_000}}
    )
    world.live(60)
    before = world.over(DISTRIBUTORS, DISCARDED)

    world.write({"a": {"ingestion_rate": 50_000, "ingestion_burst_size": 50_000}})
    world.live(BOUND_SECONDS)
    settled = world.over(DISTRIBUTORS, DISCARDED)
    world.live(120)

    assert 0 < before < settled
    assert world.over(DISTRIBUTORS, DISCARDED) == settled


def test_a_limiter_that_was_just_read_keeps_its_limit_until_it_looks_again(
    new_world: New, one_tenant: New
) -> None:
    """
    Mimir caches the limit for ten seconds, so a reload alone changes nothing yet.
    """
    world = new_world(
        [one_tenant("a")],
        {"a": {"ingestion_rate": 500, "ingestion_burst_size": 2_000}},
        reload_period_seconds=0.5,
    )
    world.live(60)

    world.write({"a": {"ingestion_rate": 50_000, "ingestion_burst_size": 50_000}})
    world.live(1)
    reloaded = world.over(DISTRIBUTORS, DISCARDED)
    world.live(1)

    assert world.over(DISTRIBUTORS, DISCARDED) > reloaded


def test_one_tenants_limit_takes_nothing_from_another(new_world: New, one_tenant: New) -> None:
    world = new_world([one_tenant("a"), one_tenant("b")], {"a": {"ingestion_rate": 100}})

    world.live(300)

    assert world.over(DISTRIBUTORS, DISCARDED, user="a") > 0
    assert world.over(DISTRIBUTORS, DISCARDED, user="b") == 0


def test_a_request_larger_than_the_burst_never_passes(new_world: New, one_tenant: New) -> None:
    world = new_world(
        [one_tenant("a", samples=8_000)],
        {"a": {"ingestion_rate": 1_000_000, "ingestion_burst_size": 500}},
    )

    world.live(60)

    assert world.over(DISTRIBUTORS, IN) > 0
    assert world.over(DISTRIBUTORS, RECEIVED) == 0


@pytest.mark.parametrize("rate", [0, -5], ids=["zero", "negative"])
def test_no_rate_at_all_blocks_the_tenant_once_the_burst_is_spent(
    new_world: New, one_tenant: New, rate: float
) -> None:
    world = new_world(
        [one_tenant("a")], {"a": {"ingestion_rate": rate, "ingestion_burst_size": 20_000}}
    )

    world.live(60)
    spent = world.over(DISTRIBUTORS, RECEIVED)
    world.live(60)

    assert 0 < spent <= 2 * 20_000
    assert world.over(DISTRIBUTORS, RECEIVED) == spent


def test_the_burst_factor_overrides_the_burst_size(new_world: New, one_tenant: New) -> None:
    """
    The bucket of each distributor holds the factor times its part of the rate.
    """
    world = new_world(
        [one_tenant("a")], {"a": {"ingestion_rate": 1_000, "ingestion_burst_factor": 40}}
    )

    world.live(30)

    passed = world.over(DISTRIBUTORS, RECEIVED)
    assert passed == pytest.approx(40 * 1_000 + 30 * 1_000, rel=0.05)


def test_a_blast_on_order_multiplies_samples_for_its_time_only(
    new_world: New, one_tenant: New
) -> None:
    world = new_world([one_tenant("a")], {"a": {"ingestion_rate": 1e6}})
    world.live(60)
    quiet = world.over(DISTRIBUTORS, IN)

    world.cluster.blast("a", factor=5, seconds=60)
    world.live(60)
    blasted = world.over(DISTRIBUTORS, IN)
    world.live(60)

    assert (blasted - quiet) / 60 == pytest.approx(5 * 4_000, rel=0.05)
    assert (world.over(DISTRIBUTORS, IN) - blasted) / 60 == pytest.approx(4_000, rel=0.05)
