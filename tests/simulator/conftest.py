"""A small simulated cluster on a clock that the test moves."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from simulator import Answer, Cluster, Plan, Request, Tenant, respond

# Half an hour after a compaction.
START = 1_800_010_800.0 - 1_800_010_800.0 % 7_200.0 + 1_800.0


@dataclass
class World:
    """A cluster, its clock and its runtime file."""

    file: Path
    now: float = START
    plan: Plan | None = None
    cluster: Cluster = field(init=False)

    def start(self) -> None:
        assert self.plan is not None
        self.cluster = Cluster(self.plan, clock=lambda: self.now)

    def write(self, overrides: dict[str, dict[str, float]]) -> None:
        self.file.write_text(json.dumps({"overrides": overrides}))

    def live(self, seconds: float) -> None:
        self.now += seconds
        self.cluster.advance()

    def get(self, path: str, *, query: str = "", headers: dict[str, str] | None = None) -> Answer:
        request = Request(path=path, query=query, headers=headers or {})
        return respond(self.cluster, request)

    def samples(self, process: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        page = self.get(f"/{process}/metrics").body
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for found in text_string_to_metric_families(page)
            for sample in found.samples
        }

    def value(self, process: str, family: str, **labels: str) -> float:
        """The sum of the family's samples that carry the labels; absent counts as 0."""
        return sum(
            value
            for (name, has), value in self.samples(process).items()
            if name == family and has >= set(labels.items())
        )

    def over(self, processes: Sequence[str], family: str, **labels: str) -> float:
        return sum(self.value(process, family, **labels) for process in processes)


def tenant(
    name: str = "a",
    *,
    habit: str = "steady",
    samples: float = 4_000,
    series: float = 30_000,
    churn: float = 0.0,
) -> Tenant:
    return Tenant(
        name=name,
        habit=habit,
        samples_per_second=samples,
        series=series,
        churn_per_second=churn,
        key=7,
    )


@pytest.fixture
def new_world(tmp_path: Path) -> Callable[..., World]:
    """Build a started world: `new_world(tenants, overrides, **plan)`."""

    def build(
        tenants: Sequence[Tenant],
        overrides: dict[str, dict[str, float]] | None = None,
        started_at: datetime | None = None,
        **plan: object,
    ) -> World:
        file = tmp_path / "runtime.json"
        world = World(file=file)
        if started_at is not None:
            world.now = started_at.timestamp()
        world.write(overrides or {})
        world.plan = Plan(tenants=tenants, runtime_files=[file], **plan)  # type: ignore[arg-type]
        world.start()
        return world

    return build


@pytest.fixture
def one_tenant() -> Callable[..., Tenant]:
    return tenant
