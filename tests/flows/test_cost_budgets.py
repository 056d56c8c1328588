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

from flows.cost import cost
from flows.runtime import Runtime, install
from flows.vitals import Vitals
from policy.settings import Settings, parse_settings
from policy.signals import SAMPLES_RECEIVED
from storage.budgets import read_budgets
from storage.database import Database
from storage.tenants import seen
from storage.usage import IMPORTED, import_usage
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

    async def run(self, *, after: timedelta = timedelta()) -> pl.DataFrame:
        self.now += after
        await cost.fn()
        return read_budgets(self.database)

    def metric(self, name: str, **labels: str) -> float | None:
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
