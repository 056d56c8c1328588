"""The whole loop in one process: a simulated Mimir, real files, and a clock that the test moves."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from prefect import Flow
from prometheus_client import CollectorRegistry

from deployments.simulation import Simulation, remember_past
from flows.runtime import Runtime, install
from flows.vitals import Vitals
from flows.writing import release_pen
from policy.document import parse
from policy.settings import Settings, parse_settings
from simulator import Cluster, Plan, endpoints, operator_overrides, roster, running
from storage.database import Database
from storage.layers import read_layers
from storage.revisions import list_revisions
from tasks.say import DECISIONS
from tasks.telemetry import Telemetry
from tests.flows.books import NOON_AND_SIX, Books

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
TENANTS = 4
SEED = 1
INTERVAL = 15.0


@dataclass
class World:
    """A cluster, the file that we publish to, our process, and what it said.

    A world that is `live` has the time of day, for programs that have a clock of their own.
    """

    folder: Path
    past: bool = True
    live: bool = False
    now: float = NOON
    tree: dict[str, object] = field(default_factory=lambda: {"mode": "prod"})
    said: list[str] = field(default_factory=list)
    cluster: Cluster = field(init=False)
    port: int = field(init=False)
    runtime: Runtime = field(init=False)

    @property
    def file(self) -> Path:
        return self.folder / "overrides.yaml"

    @property
    def database(self) -> Database:
        return self.runtime.database

    def seconds(self) -> float:
        return time.time() if self.live else self.now

    def clock(self) -> datetime:
        return datetime.fromtimestamp(self.seconds(), UTC)

    def settings(self) -> Settings:
        where = {
            "mimir": {"endpoints": list(endpoints(self.port))},
            "publish": {"file": {"path": str(self.file)}},
            "storage": {"url": str(self.folder / "history.duckdb")},
        }
        # One look is enough here, where each look is a test's own.
        at_once = {"movement": {"agreeingRuns": 1}}
        return parse_settings({**where, **at_once, **self.tree})

    @contextmanager
    def alive(self) -> Iterator[World]:
        """The cluster serves, and our process owns its history."""
        base = self.folder / "runtime.yaml"
        own = {"overrides": dict(operator_overrides(roster(TENANTS, seed=SEED)))}
        base.write_text(json.dumps(own, default=dict))
        self.file.write_text("overrides: {}\n")
        plan = Plan(
            tenants=roster(TENANTS, seed=SEED),
            runtime_files=[base, self.file],
            blast_after_seconds=10**9,
            reload_period_seconds=1.0 if self.live else 10.0,
        )
        self.cluster = Cluster(plan, clock=self.seconds)
        with running(self.cluster) as server, ExitStack() as stack:
            self.port = server.server_address[1]
            self.begin()
            stack.callback(self.end)
            stack.callback(install, None)
            if self.past:
                self.remember_past()
            yield self

    def remember_past(self, *, until: datetime | None = None) -> None:
        """Give the history the demand of the two days until then, or until now."""
        simulation = Simulation(port=self.port, folder=self.folder, tenants=TENANTS)
        remember_past(self.database, simulation, until=until or self.clock())

    def begin(self) -> None:
        """Start our process: nothing is remembered but what the history holds."""
        self.runtime = Runtime(
            settings=self.settings,
            database=Database.open(str(self.folder / "history.duckdb"), clock=self.clock),
            clock=self.clock,
            telemetry=Telemetry(CollectorRegistry()),
            vitals=Vitals(born_at=self.clock()),
        )
        install(self.runtime)

    def end(self) -> None:
        """End our process, whichever it is by now; the kernel frees what it had locked."""
        release_pen(self.runtime)
        self.database.close()

    def restart(self, *, lose_history: bool = False) -> None:
        """End our process and start it again."""
        self.end()
        if lose_history:
            for path in self.folder.glob("history*"):
                path.unlink()
        self.begin()

    async def run(self, flow: Flow[[], object], *, after: float = 0.0) -> list[str]:
        """Let time pass, run the flow once, and give the lines that it said."""
        self.now += after
        heard = len(self.said)
        await flow.fn()  # type: ignore[misc]
        return self.said[heard:]

    async def decided(self, flow: Flow[[], object], *, after: float = 0.0) -> list[str]:
        """As `run`, without the lines that say how things are."""
        said = await self.run(flow, after=after)
        return [line for line in said if not line.startswith(("protect: ", "circuit breaker"))]

    def limits(self) -> dict[tuple[str, str], float]:
        """What the document says."""
        return {
            (tenant, limit): value for tenant, limit, value in parse(self.file.read_bytes()).rows()
        }

    def loaded(self, tenant: str, limit: str = "ingestion_rate") -> float:
        """What the first distributor has loaded."""
        return self.cluster.distributors[0].config.current.number(tenant, limit)

    def revisions(self) -> list[tuple[str, str]]:
        """Who began each revision and what became of it, oldest first."""
        rows = list_revisions(self.database, newest=10_000).select("actor", "outcome")
        return rows.reverse().rows()

    def layer(self, name: str) -> pl.DataFrame:
        return read_layers(self.database, now=self.clock()).filter(pl.col("layer") == name)


@pytest.fixture
def new_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Start a world: `new_world(tree={"mode": "dry-run"}, past=False)`."""
    with ExitStack() as stack:

        def build(**given: object) -> World:
            world = World(folder=tmp_path, **given)  # type: ignore[arg-type]
            stack.enter_context(hearing(world.said))
            return stack.enter_context(world.alive())

        yield build


@contextmanager
def hearing(lines: list[str]) -> Iterator[None]:
    """Keep the lines that flows say."""

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger, ear = logging.getLogger(DECISIONS), Ear()
    level = logger.level
    logger.addHandler(ear)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(ear)
        logger.setLevel(level)


@pytest.fixture
def books() -> Iterator[Callable[..., Books]]:
    """Open the books of a process: `books(mode="dry-run", globalBudget={"daily": 5})`."""
    with Database.open(":memory:", clock=lambda: NOON_AND_SIX) as database:

        def opened(
            mode: str = "prod",
            others: dict[str, Any] | None = None,
            **tree: Any,  # noqa: ANN401 - a tree of settings
        ) -> Books:
            kept = Books(database=database, tree=tree, mode=mode, others=others or {})
            install(kept.runtime)
            return kept

        yield opened
        install(None)
