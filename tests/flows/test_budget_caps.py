"""Budgets that are used up cap limits, by stages, until their period turns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from flows.cost import cost
from flows.emergency import evidence
from flows.optimize import optimize
from flows.protect import protect
from policy.frames import SAMPLES
from policy.signals import DISCARDED_RATE_LIMITED
from storage.layers import read_layers, replace_layer
from tasks.say import DECISIONS
from tests.flows.books import HOUR, Books

RATE, BURST, SERIES = "ingestion_rate", "ingestion_burst_size", "max_global_series_per_user"
LIMITS = {RATE: 20_000.0, BURST: 100_000.0, SERIES: 200_000.0}
DEMAND = {RATE: 4_000.0, BURST: 5_000.0, SERIES: 40_000.0}
Opened = Callable[..., Books]
ENFORCED: dict[str, Any] = {
    "autoLimitReduction": True,
    "tenantBudgets": {"acme": {"daily": 12, "enforceBudget": True}},
}


def settled(books: Opened, **told: Any) -> Books:  # noqa: ANN401 - settings
    """Two tenants with limits and habits, who spent 12 each by noon."""
    world = books(**{**ENFORCED, **told})
    for tenant in ("acme", "beta"):
        world.limit(tenant, **LIMITS)
        world.ask(tenant, **DEMAND)
        world.use(tenant, 1.0, hours=12)
    return world


@pytest.fixture
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger=DECISIONS)


async def test_the_further_a_budget_is_exceeded_the_more_is_taken(books: Opened) -> None:
    world = settled(books)
    await world.run()
    first = world.caps()
    world.now += HOUR
    world.use("acme", 3.0)
    await world.run()
    last = world.caps()

    assert first == {
        ("acme", RATE): 12_000,
        ("acme", BURST): 52_500,
        ("acme", SERIES): 120_000,
    }
    assert last == {("acme", RATE): 4_000, ("acme", BURST): 5_000, ("acme", SERIES): 40_000}
    assert world.entries("acting")[-1] == ("budget_enforced", "acme", "true")


async def test_a_cap_is_gone_when_the_day_turns_and_that_is_told(books: Opened) -> None:
    world = settled(books)
    await world.run()

    world.now += 12 * HOUR
    at_once = world.caps()
    await world.run()

    assert at_once == {}
    assert [entry for entry in world.entries() if "budget_enf" in entry[0]] == [
        ("budget_enforced", "acme")
    ]
    assert world.entries()[-1] == ("budget_lifted", "acme")


async def test_a_raise_beneath_does_not_lift_a_cap_and_the_same_is_told_once(
    books: Opened,
) -> None:
    world = settled(books)
    await world.run()
    before = world.caps()

    world.limit("acme", **{limit: 10 * value for limit, value in LIMITS.items()})
    await world.run(after=timedelta(minutes=1))

    assert world.caps() == before
    assert [action for action, _ in world.entries()].count("budget_enforced") == 1


@pytest.mark.usefixtures("_heard")
async def test_a_dry_run_says_once_what_it_would_cap_and_caps_nothing(
    books: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    world = settled(books, mode="dry-run")
    await world.run()
    await world.run(after=timedelta(minutes=1))

    told = [line for line in caplog.messages if "would cap" in line]
    assert world.caps() == {}
    assert len(told) == 3
    assert told[1].startswith("budget: dry run: would cap ingestion_rate of acme at 12,000: acme")
    assert ("budget_enforced", "acme", "false") in world.entries("acting")


@pytest.mark.parametrize(
    "told",
    [
        {"autoLimitReduction": False},
        {"tenantBudgets": {"acme": {"daily": 12}}},
        {"others": {"emergency": {"criticalTenants": ["ac*"]}}},
    ],
    ids=["reduction is off", "the budget is not enforced", "the tenant is critical"],
)
async def test_nothing_is_capped_where_nothing_may_be(books: Opened, told: dict[str, Any]) -> None:
    world = settled(books, **told)
    await world.run()

    assert world.caps() == {}


@pytest.mark.parametrize("tree", [{"autoLimitReduction": False}, {"enabled": False}])
async def test_switching_it_off_lifts_every_cap_at_the_next_run(
    books: Opened, tree: dict[str, Any]
) -> None:
    world = settled(books)
    await world.run()
    before = world.caps()

    world.tree |= tree
    stands = await world.run(after=timedelta(minutes=1))

    assert before
    assert world.caps() == {}
    assert world.entries()[-1] == ("budget_lifted", "acme")
    assert stands.is_empty() is (tree == {"enabled": False})


async def test_floors_of_the_operator_hold(books: Opened) -> None:
    floors = {"minLimits": {RATE: 9_000, SERIES: 10_000}}
    world = settled(books, others={"limits": floors})
    world.use("acme", 50.0)
    await world.run()

    assert world.caps()["acme", RATE] == 9_000
    assert world.caps()["acme", SERIES] == DEMAND[SERIES]


async def test_what_a_cap_of_ours_refuses_is_no_evidence_of_a_need(books: Opened) -> None:
    world = settled(books)
    await world.run()
    refused = pl.DataFrame(
        [(world.now, tenant, DISCARDED_RATE_LIMITED, 5.0, 1.0) for tenant in ("acme", "beta")],
        schema=SAMPLES,
        orient="row",
    )

    layers = read_layers(world.database, now=world.now)
    kept = evidence(world.runtime, refused, layers=layers, at=world.now)

    assert kept["tenant"].to_list() == ["beta"]


async def test_other_layers_are_left_alone(books: Opened) -> None:
    world = settled(books)
    await world.run()
    capped = read_layers(world.database, now=world.now)
    breaker = capped.with_columns(layer=pl.lit("breaker"))
    replace_layer(world.database, "breaker", breaker, run_id="r")

    world.tree["autoLimitReduction"] = False
    await world.run(after=timedelta(minutes=1))

    left = read_layers(world.database, now=world.now)
    assert set(left["layer"]) == {"breaker"}


async def test_the_next_look_publishes_the_caps_and_their_end(
    new_world: Callable[..., Any],
) -> None:
    """Of a whole loop with a simulated Mimir, whose tenants have used anything at all."""
    control = {
        "autoLimitReduction": True,
        "perTenantBudgets": {"daily": "0.000001", "enforceBudget": True},
    }
    world = new_world(tree={"mode": "prod", "costControl": control})
    for flow in (protect, optimize, protect):
        await world.run(flow, after=15.0)
    before = world.limits()
    await world.run(cost, after=15.0)
    caps = {
        (tenant, limit): value
        for tenant, limit, value in world.layer("budget")
        .select("tenant", "limit", "value")
        .iter_rows()
    }

    await world.run(protect, after=15.0)

    during = world.limits()
    assert caps
    assert {key: during[key] for key in caps} == caps
    assert all(value < before[key] for key, value in caps.items() if key in before)
    world.now += 13 * 3600.0
    await world.run(protect)
    after = world.limits()
    assert all(after.get(key) != value for key, value in caps.items())
