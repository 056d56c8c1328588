"""The flow `deliver` in one process: a test raises alerts and moves the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from prometheus_client import CollectorRegistry

from flows.deliver import deliver
from flows.runtime import Runtime, install
from flows.vitals import Vitals
from policy.audit import AuditEntry
from policy.settings import Settings, parse_settings
from storage.alerts import raise_alerts
from storage.audit import append_audit, newest_entries
from storage.database import Database
from tasks.telemetry import Telemetry
from tests.policy.alerts import alert

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
INTERVAL = timedelta(seconds=15)


@dataclass
class Office:
    """A process that tells what was raised."""

    database: Database
    tree: dict[str, Any] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)
    now: datetime = NOON
    runtime: Runtime = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin anew with the same history: nothing is remembered in memory."""
        self.runtime = Runtime(
            settings=self.settings,
            database=self.database,
            clock=lambda: self.now,
            telemetry=Telemetry(CollectorRegistry()),
            vitals=Vitals(born_at=self.now),
        )
        install(self.runtime)

    def settings(self) -> Settings:
        return parse_settings({"alerting": self.tree, **self.others})

    def happens(self, incident: str = "breaker:acme", **of: Any) -> None:  # noqa: ANN401 - of Alert
        """Raise an alert; by default one that lasts."""
        raise_alerts(self.database, [alert(incident, at=self.now, **of)])

    def enter(self, *entries: AuditEntry) -> None:
        append_audit(self.database, entries)

    async def run(self, *, after: timedelta = INTERVAL, times: int = 1) -> None:
        for _ in range(times):
            self.now += after
            await deliver.fn()

    def deliveries(self, *columns: str) -> list[tuple[Any, ...]]:
        """These columns of v_alert_deliveries, in the order in which they were entered."""
        found = self.database.cursor().execute("select * from v_alert_deliveries").pl()
        return found.sort("entered_at", "channel", maintain_order=True).select(columns).rows()

    def channel(self, name: str) -> Mapping[str, Any]:
        found = self.database.cursor().execute("select * from v_alert_channels").pl()
        return found.filter(channel=name).to_dicts()[0]

    def actions(self, *actions: str) -> list[str]:
        """Of the audit, the oldest first."""
        found = newest_entries(self.database, newest=1_000).reverse()
        return found.filter(pl.col("action").is_in(actions))["action"].to_list()

    def metric(self, name: str, /, **labels: str) -> float | None:
        value = self.runtime.telemetry.registry.get_sample_value(
            f"mimir_limit_optimizer_{name}", labels
        )
        return None if value is None else float(value)


def hook(url: str, **more: object) -> dict[str, object]:
    """A webhook of the settings."""
    return {"enabled": True, "url": url, "timeout": "1s", **more}
