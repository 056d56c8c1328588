"""How budgets stand after a run of `cost`, and what is told of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from storage.budgets import open_alerts
from tasks.say import DECISIONS
from tests.flows.books import HOUR, Books


async def test_a_run_says_how_each_budget_stands(books: Callable[..., Books]) -> None:
    world = books(
        globalBudget={"daily": 100},
        tenantBudgets={"acme": {"daily": 50}},
        teamBudgets={"blue": {"tenants": ["be*"], "monthly": 500}},
    )
    world.use("acme", 2.0, hours=12)
    world.use("beta", 1.0, hours=12)

    stands = await world.run()

    assert sorted(stands.select("scope", "name", "unit", "spent", "left", "hours").rows()) == [
        ("global", "all", "day", 36, 64, 12),
        ("team", "blue", "month", 12, 488, 12),
        ("tenant", "acme", "day", 24, 26, 12),
    ]
    assert stands["method"].to_list() == [None] * 3


async def test_the_next_hour_is_added_and_the_next_day_begins_anew(
    books: Callable[..., Books],
) -> None:
    world = books(tenantBudgets={"acme": {"daily": 50}})
    world.use("acme", 2.0, hours=12)
    await world.run()

    world.now += HOUR
    world.use("acme", 3.0)
    later = await world.run()
    world.now += 12 * HOUR
    world.use("acme", 0.5)
    tomorrow = await world.run()

    assert later["spent"].to_list() == [Decimal(27)]
    assert tomorrow["spent"].to_list() == [Decimal("0.5")]
    assert tomorrow["starts"].to_list() == [datetime(2026, 11, 27, tzinfo=UTC)]


async def test_a_crossing_is_told_once_entered_and_counted(
    books: Callable[..., Books], caplog: pytest.LogCaptureFixture
) -> None:
    world = books(tenantBudgets={"acme": {"daily": 20}}, teamBudgets={"blue": {"daily": 9}})
    caplog.set_level("INFO", logger=DECISIONS)
    world.use("acme", 1.0, hours=12)
    await world.run()
    world.now += HOUR
    world.use("acme", 9.0)
    await world.run()
    await world.run()

    assert [entry for entry in world.entries("threshold") if entry[0] == "budget_crossed"] == [
        ("budget_crossed", "acme", "50.0"),
        ("budget_crossed", "acme", "100.0"),
    ]
    told = [line for line in caplog.messages if "daily budget: " in line]
    assert told == [
        "cost: acme used 60 % of the daily budget: 12 of 20 USD, with 50.4 % of the time over",
        "cost: acme used 105 % of the daily budget: 21 of 20 USD, with 54.6 % of the time over",
    ]
    assert world.metric("budget_violations_total", scope="tenant", period="day") == 1
    assert world.metric("budget_usage_ratio", scope="tenant", name="acme", period="day") == 1.05
    assert world.metric("budget_usage_ratio", scope="team", name="blue", period="day") == 0
    assert (
        world.metric("cost_current", scope="global", name="all", period="day", currency="USD") == 21
    )


async def test_without_budget_alerts_nothing_is_told_and_what_was_open_is_closed(
    books: Callable[..., Books],
) -> None:
    world = books(tenantBudgets={"acme": {"daily": 20}})
    world.use("acme", 1.0, hours=12)
    await world.run()
    before = open_alerts(world.database).height

    world.tree["budgetAlerts"] = False
    world.now += HOUR
    world.use("acme", 100.0)
    await world.run()

    assert before > 0
    assert open_alerts(world.database).is_empty()
    assert ("budget_crossed", "acme", "100.0") not in world.entries("threshold")


async def test_what_was_told_of_a_day_is_over_with_the_day_and_what_goes_on_is_not(
    books: Callable[..., Books],
) -> None:
    world = books(tenantBudgets={"acme": {"daily": 20}, "beta": {"daily": 20}})
    for tenant in ("acme", "beta"):
        world.use(tenant, 2.0, hours=12)
    await world.run()
    world.now += 13 * HOUR
    world.use("acme", 30.0)
    world.use("beta", 1.0)
    await world.run()

    thresholds = [entry for entry in world.entries("kind", "threshold") if entry[2] == "threshold"]
    assert sorted(thresholds[:2]) == [
        ("budget_crossed", "acme", "threshold", "100.0"),
        ("budget_crossed", "beta", "threshold", "100.0"),
    ]
    assert sorted(thresholds[2:]) == [
        ("budget_crossed", "acme", "threshold", "100.0"),
        ("cost_alert_over", "beta", "threshold", "100.0"),
    ]


async def test_a_tenant_that_costs_far_more_than_usual_is_told_and_when_that_is_over(
    books: Callable[..., Books],
) -> None:
    world = books()
    for tenant in ("acme", "other"):
        world.use(tenant, 1.0, hours=24 * 29)
    world.price_the_past(days=29)
    world.now += HOUR
    world.use("acme", 5.0)
    await world.run()
    world.now += HOUR
    world.use("acme", 1.0)
    await world.run()

    assert world.entries("threshold") == [
        ("cost_unusual", "acme", "6.0"),
        ("cost_alert_over", "acme", "6.0"),
    ]


async def test_in_a_month_of_a_thousand_crossings_the_worst_are_told_and_the_rest_counted(
    books: Callable[..., Books], caplog: pytest.LogCaptureFixture
) -> None:
    world = books(perTenantBudgets={"daily": 20})
    caplog.set_level("INFO", logger=DECISIONS)
    for number in range(25):
        world.use(f"t{number:02}", 10.0 if number else 20.0)
    await world.run()

    lines = [line for line in caplog.messages if "daily budget: " in line or " more, " in line]
    assert lines[0].startswith("cost: t00 used 100 %")
    assert lines[-1] == "cost: and 5 more, see v_cost_alerts"
    assert len(world.entries("threshold")) == 25
