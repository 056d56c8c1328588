"""What Kubernetes tells of the pods comes into a look: one list a minute, and none without need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from kmock import RawHandler
from prometheus_client import CollectorRegistry

from flows.resources import KEPT, LISTED_EVERY, resources_now
from flows.runtime import Runtime
from flows.vitals import Vitals
from policy.frames import READINGS, empty
from policy.scrape import Scrape
from policy.settings import parse_settings
from storage.database import Database
from tasks.kubernetes_client import api_client
from tasks.telemetry import Telemetry
from tests.fake_kubernetes import FakeKubernetes, kubeconfig

pytestmark = pytest.mark.kmock(cls=RawHandler)

PODS = "/api/v1/namespaces/mimir-system/pods"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NewRuntime = Callable[[dict[str, object]], Runtime]


class Clock:
    now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def api(kmock: RawHandler) -> Iterator[FakeKubernetes]:
    api_client.cache_clear()
    api = FakeKubernetes(kmock)
    container = {"name": "ingester", "resources": {"limits": {"memory": "8Gi"}}}
    api.put(
        PODS,
        items=[{"metadata": {"name": "a", "uid": "u"}, "spec": {"containers": [container]}}],
    )
    yield api
    api_client.cache_clear()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def new_runtime(kmock: RawHandler, tmp_path: Path, clock: Clock) -> Iterator[NewRuntime]:
    where = {"metricsDiscovery": {"kubeconfig": str(kubeconfig(tmp_path, str(kmock.url)))}}
    with Database.open(str(tmp_path / "history.duckdb"), clock=clock) as database:
        yield lambda tree: Runtime(
            settings=lambda: parse_settings({**where, **tree}),
            database=database,
            clock=clock,
            telemetry=Telemetry(CollectorRegistry()),
            vitals=Vitals(born_at=NOON),
        )


async def memory_limits(runtime: Runtime) -> list[float]:
    seen = Scrape(at=runtime.clock(), readings=empty(READINGS), answered=("a",), failed={})
    found = await resources_now(runtime, runtime.settings(), seen=seen, previous=None)
    return found.filter(pl.col("resource") == "memory_bytes")["limit"].to_list()


async def test_pods_are_listed_once_a_minute_and_an_old_list_serves_for_a_while(
    api: FakeKubernetes, new_runtime: NewRuntime, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = new_runtime({})

    assert await memory_limits(runtime) == [8 * 2**30]
    clock.now = NOON + LISTED_EVERY / 2
    assert await memory_limits(runtime) == [8 * 2**30]
    assert len(api.asked) == 1

    api.refused = {"GET": 403}
    clock.now = NOON + LISTED_EVERY
    assert await memory_limits(runtime) == [8 * 2**30]
    assert len(api.asked) == 2
    clock.now = NOON + KEPT
    assert await memory_limits(runtime) == []
    told = [line.message for line in caplog.records if "list on pods" in line.message]
    assert len(told) == 1


async def test_listed_processes_are_not_looked_up_in_kubernetes(
    api: FakeKubernetes, new_runtime: NewRuntime
) -> None:
    runtime = new_runtime({"mimir": {"endpoints": ["http://a:1"]}})

    assert await memory_limits(runtime) == []
    assert api.asked == []
