"""The flow `cost` in one process: usage that is known, a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from prometheus_client import CollectorRegistry

from flows.cost import cost, price
from flows.runtime import Run, Runtime
from flows.vitals import Vitals
from policy.frames import LIMITS
from policy.settings import Settings, parse_settings
from policy.signals import SAMPLES_RECEIVED
from storage.audit import newest_entries
from storage.budgets import read_budgets
from storage.database import Database
from storage.layers import read_layers
from storage.limits import observe_limits, observed_limits
from storage.rollups import ROLLUPS, import_rollups
from storage.tenants import seen
from storage.usage import IMPORTED, import_usage
from tasks.telemetry import Telemetry

HOUR = timedelta(hours=1)
BUCKET = timedelta(minutes=5)
NOON_AND_SIX = datetime(2026, 11, 26, 12, 6, tzinfo=UTC)
PRICED = {"costMethod": "samples", "costPerUnit": 1}


@dataclass
class Books:
    """A process that prices a history; a sample per second for an hour costs 0.0036."""

    database: Database
    tree: dict[str, Any] = field(default_factory=dict)
    mode: str = "prod"
    others: dict[str, Any] = field(default_factory=dict)
    now: datetime = NOON_AND_SIX
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
        return parse_settings(
            {"mode": self.mode, "costControl": {**PRICED, **self.tree}, **self.others}
        )

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
        end = self.now.replace(minute=0)
        price(self.runtime, run, self.settings(), start=end - timedelta(days=days), end=end)

    def limit(self, tenant: str, **limits: float) -> None:
        """Let the operator have set these limits of the tenant."""
        known = observed_limits(self.database).filter(pl.col("tenant") != tenant)
        rows = [(tenant, limit, value) for limit, value in limits.items()]
        observed = pl.concat([known, pl.DataFrame(rows, schema=LIMITS, orient="row")])
        observe_limits(self.database, observed, at=self.now)
        self.runtime.memory.observed = None

    def ask(self, tenant: str, *, days: int = 2, **demand: float) -> None:
        """Let the tenant have asked for so much of each limit all the time."""
        end = self.now.replace(minute=0, second=0, microsecond=0)
        rows = [
            {"at": end - (n + 1) * BUCKET, "tenant": tenant, "signal": signal, "count": 1}
            | dict.fromkeys(("max", "mean", "sum"), value)
            | {"coverage": 1.0}
            for n in range(days * 288)
            for signal, value in demand.items()
        ]
        frame = pl.DataFrame(rows, schema=ROLLUPS)
        import_rollups(self.database, frame, now=end, sustained_for=HOUR)

    def caps(self) -> dict[tuple[str, str], float]:
        """What the layer `budget` says now."""
        found = read_layers(self.database, now=self.now).filter(layer="budget")
        return {
            (tenant, limit): value
            for tenant, limit, value in found.select("tenant", "limit", "value").iter_rows()
        }

    def entries(self, *columns: str) -> list[tuple[Any, ...]]:
        """Audit entries of costs, the oldest first: action, tenant, and these details."""
        found = newest_entries(self.database, newest=1_000).reverse().filter(category="cost")
        details = (pl.col("details").str.json_path_match(f"$.{name}") for name in columns)
        return found.select(
            "action", "tenant", *(each.alias(str(n)) for n, each in enumerate(details))
        ).rows()

    async def run(self, *, after: timedelta = timedelta()) -> pl.DataFrame:
        self.now += after
        await cost.fn()
        return read_budgets(self.database)

    def metric(self, name: str, /, **labels: str) -> float | None:
        value = self.runtime.telemetry.registry.get_sample_value(
            f"mimir_limit_optimizer_{name}", labels
        )
        return None if value is None else float(value)
