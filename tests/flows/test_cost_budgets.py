"""The flow `cost` in one process: usage that is known, a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from prometheus_client import CollectorRegistry

from flows.cost import cost, price
from flows.runtime import Run, Runtime, install
from flows.vitals import Vitals
from policy.settings import Settings, parse_settings
from policy.signals import SAMPLES_RECEIVED
from storage.audit import newest_entries
from storage.budgets import open_alerts, read_budgets
from storage.database import Database
from storage.tenants import seen
from storage.usage import IMPORTED, import_usage
from tasks.say import DECISIONS
from tasks.telemetry import Telemetry

HOUR = timedelta(hours=1)
NOON = datetime(2026, 11, 26, 12, 6, tzinfo=UTC)
PRICED = {"costMethod": "samples", "costPerUnit": 1}


@dataclass
class Books:
    """A process that prices a history; a sample per second for an hour costs 0.0036."""

    database: Database
    tree: dict[str, Any] = field(default_factory=dict)
    mode: str = "prod"
    now: datetime = NOON
    runtime: Runtime = field(init=False)

    def __post_init__(self) -> None:
        self.runtime = Runtime(
            settings=self.settings,
            database=self.database,
            clock=lambda: self.now,
            telemetry=Telemetry(CollectorRegistry()),
            vitals=Vitals(born_at=self.now),
        )

    def settings(self) -> Settings:
        return parse_settings({"mode": self.mode, "costControl": {**PRICED, **self.tree}})

    def use(self, tenant: str, amount: float, *, hours: int = 1, ago: int = 0) -> None:
        """Let the tenant cost so much in each of the hours that are over."""
        hour = self.now.replace(minute=0, second=0, microsecond=0) - ago * HOUR
        rows = [
            (hour - (n + 1) * HOUR, tenant, SAMPLES_RECEIVED, amount / 0.0036, 3600.0)
            for n in range(hours)
        ]
        seen(self.database, [tenant], at=self.now)
        frame = pl.DataFrame(rows, schema=IMPORTED, orient="row")
        import_usage(self.database, frame, origin="test", at=self.now)

    def price_the_past(self, *, days: int) -> None:
        run = Run(run_id="r", flow="cost", started_at=self.now)
        start = NOON.replace(minute=0) - timedelta(days=days)
        price(self.runtime, run, self.settings(), start=start, end=NOON.replace(minute=0))

    async def run(self, *, after: timedelta = timedelta()) -> pl.DataFrame:
        self.now += after
        await cost.fn()
        return read_budgets(self.database)

    def metric(self, name: str, /, **labels: str) -> float | None:
        value = self.runtime.telemetry.registry.get_sample_value(
            f"mimir_limit_optimizer_{name}", labels
        )
        return None if value is None else float(value)


@pytest.fixture
def books() -> Iterator[Callable[..., Books]]:
    with Database.open(":memory:", clock=lambda: NOON) as database:

        def opened(mode: str = "prod", **tree: Any) -> Books:  # noqa: ANN401 - a tree of settings
            kept = Books(database=database, tree=tree, mode=mode)
            install(kept.runtime)
            return kept

        yield opened
        install(None)


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


def entries(world: Books) -> list[tuple[Any, ...]]:
    found = newest_entries(world.database, newest=1_000).reverse().filter(category="cost")
    threshold = pl.col("details").str.json_path_match("$.threshold").cast(pl.Float64)
    return found.select("action", "tenant", threshold).rows()


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

    assert [entry for entry in entries(world) if entry[0] == "budget_crossed"] == [
        ("budget_crossed", "acme", 50.0),
        ("budget_crossed", "acme", 100.0),
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
    assert ("budget_crossed", "acme", 100.0) not in entries(world)


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

    assert entries(world) == [("cost_unusual", "acme", 6.0), ("cost_alert_over", "acme", 6.0)]


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
    assert len(entries(world)) == 25
