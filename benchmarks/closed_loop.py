"""The real flows over a simulated Mimir, on a clock that is moved by hand: an hour in a minute.

What is scraped, decided, written and loaded goes the way it goes in production, over loopback HTTP
and a real file; only time does not. The history begins with the tenants' last five weeks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl
from prometheus_client import CollectorRegistry

from deployments.simulation import SEED, Simulation, remember_past
from flows.optimize import optimize
from flows.protect import protect
from flows.runtime import Runtime, install
from flows.vitals import Vitals
from flows.writing import release_pen
from policy.frames import SAMPLES
from policy.settings import Settings, parse_settings
from policy.signals import BLASTING
from simulator import Account, Cluster, Plan, Size, endpoints, operator_overrides, roster, running
from simulator.sizes import HEADROOM, SMALL
from storage.database import Database, read_frame
from storage.layers import read_layers
from tasks.telemetry import Telemetry

NOON: Final = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
TENANTS: Final = 9
COARSE_DAYS: Final = 33  # of the past by the hour, before two by five minutes
PROTECT_SECONDS: Final = 15.0
PROTECTS_PER_OPTIMIZE: Final = 20
NEVER: Final = 10.0**9
CAPPING: Final = ("breaker", "emergency")
MARKED: Final = 'select distinct tenant from samples where signal = $signal and "at" >= $since'


@dataclass(slots=True, kw_only=True)
class Loop:
    """A cluster, our process, and the time that both go by.

    Attributes:
        folder: for the history and the runtime files.
        headroom, smallest: how the cluster is sized, as `simulator.Plan` has it.
        coarse_days: of the past by the hour, before two days by five minutes.
        protected: breakers and emergency levels are on, as they are by default.
        now: Unix seconds.
    """

    folder: Path
    headroom: float = HEADROOM
    smallest: Size = SMALL
    coarse_days: int = COARSE_DAYS
    protected: bool = True
    now: float = NOON
    cluster: Cluster = field(init=False)
    runtime: Runtime = field(init=False)
    _port: int = field(init=False)
    _looks: int = 0

    @property
    def file(self) -> Path:
        """The runtime file that we publish to."""
        return self.folder / "overrides.yaml"

    def clock(self) -> datetime:
        """The time of both."""
        return datetime.fromtimestamp(self.now, UTC)

    def settings(self) -> Settings:
        """The defaults, in production, on the simulated Mimir."""
        switches = {"enabled": self.protected}
        return parse_settings(
            {
                "mode": "prod",
                "mimir": {"endpoints": list(endpoints(self._port))},
                "publish": {"file": {"path": str(self.file)}},
                "storage": {"url": str(self.folder / "history.duckdb")},
                "circuitBreaker": switches,
                "emergency": switches,
            }
        )

    @contextmanager
    def running(self) -> Iterator[Loop]:
        """Serve the cluster, own a history with a past, and look at Mimir for a first time."""
        tenants = roster(TENANTS, seed=SEED)
        base = self.folder / "runtime.yaml"
        base.write_text(json.dumps({"overrides": dict(operator_overrides(tenants))}, default=dict))
        self.file.write_text("overrides: {}\n")
        plan = Plan(
            tenants=tenants,
            runtime_files=[base, self.file],
            blast_after_seconds=NEVER,
            headroom=self.headroom,
            smallest=self.smallest,
        )
        self.cluster = Cluster(plan, clock=lambda: self.now)
        with running(self.cluster) as server, ExitStack() as stack:
            self._port = server.server_address[1]
            database = Database.open(str(self.folder / "history.duckdb"), clock=self.clock)
            stack.callback(database.close)
            self.runtime = Runtime(
                settings=self.settings,
                database=database,
                clock=self.clock,
                telemetry=Telemetry(CollectorRegistry()),
                vitals=Vitals(born_at=self.clock()),
            )
            install(self.runtime)
            stack.callback(install, None)
            stack.callback(lambda: release_pen(self.runtime))
            simulation = Simulation(port=self._port, folder=self.folder, tenants=TENANTS)
            remember_past(database, simulation, until=self.clock(), coarse_days=self.coarse_days)
            yield self

    async def look(self) -> None:
        """Let 15 seconds pass, and then protect; every five minutes optimize, too."""
        self.now += PROTECT_SECONDS
        self.cluster.advance()
        await protect.fn()
        self._looks += 1
        if self._looks % PROTECTS_PER_OPTIMIZE == 0:
            await optimize.fn()

    async def warm_up(self) -> None:
        """Live until the limits that the history asks for are in force everywhere."""
        await self.look()
        await optimize.fn()
        for _ in range(4):
            await self.look()

    def capped(self) -> frozenset[str]:
        """The tenants that the breaker or an emergency level caps now."""
        layers = read_layers(self.runtime.database, now=self.clock())
        return frozenset(layers.filter(pl.col("layer").is_in(CAPPING))["tenant"])

    def marked(self, *, since: float) -> frozenset[str]:
        """The tenants that were told to blast since a moment."""
        found = read_frame(
            self.runtime.database,
            MARKED,
            {"signal": BLASTING, "since": datetime.fromtimestamp(since, UTC)},
            schema=pl.Schema({"tenant": SAMPLES["tenant"]}),
        )
        return frozenset(found["tenant"])

    def in_force(self, tenant: str, limit: str) -> float:
        """The highest value of the limit that a process has loaded; 0 there is no limit."""
        values = (
            process.config.current.number(tenant, limit)
            for process in self.cluster.processes.values()
        )
        return max(value or float("inf") for value in values)

    def loaded(self) -> bool:
        """Whether every process has loaded one and the same."""
        everyone = self.cluster.processes.values()
        return len({process.config.current.sha256 for process in everyone}) == 1

    def account(self, tenant: str) -> Account:
        """What became of the tenant's samples until now."""
        return self.cluster.accounts[tenant]
