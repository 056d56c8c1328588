"""The list of Mimir's pods over real HTTP, and what is read of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kmock import RawHandler

from policy.settings import Settings, parse_settings
from tasks.kubernetes_client import api_client
from tasks.pod_list import list_pods
from tests.fake_kubernetes import FakeKubernetes, kubeconfig

pytestmark = pytest.mark.kmock(cls=RawHandler)

PODS = "/api/v1/namespaces/mimir-system/pods"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _new_clients() -> Iterator[None]:
    api_client.cache_clear()
    yield
    api_client.cache_clear()


@pytest.fixture
def api(kmock: RawHandler) -> FakeKubernetes:
    return FakeKubernetes(kmock)


@pytest.fixture
def settings(kmock: RawHandler, tmp_path: Path) -> Settings:
    where = {"kubeconfig": str(kubeconfig(tmp_path, str(kmock.url)))}
    return parse_settings({"mimir": {"timeout": "2s"}, "metricsDiscovery": where})


def pod(name: str, *, limits: dict[str, str] | None = None, **status: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {
        "metadata": {"name": name, "uid": f"uid-of-{name}", "labels": {"a": "b"}},
        "spec": {"containers": [{"name": "ingester", "resources": {"limits": limits}}]},
        "status": {"phase": "Running", **status},
    }


def ended(reason: str, *, times: int) -> list[dict[str, Any]]:
    last = {"terminated": {"reason": reason, "exitCode": 137, "finishedAt": "2026-03-01T11:58:00Z"}}
    return [{"name": "ingester", "restartCount": times, "lastState": last}]


def holds(api: FakeKubernetes, *pods: dict[str, Any]) -> None:
    api.put(PODS, kind="PodList", items=list(pods))


async def rows(settings: Settings) -> list[tuple[Any, ...]]:
    found = await list_pods(settings, clock=lambda: NOON)
    assert found.unknown is None
    assert found.containers is not None
    return found.containers.drop("at", "uid", "container").rows()


async def test_limits_restarts_and_kills_are_read(api: FakeKubernetes, settings: Settings) -> None:
    holds(
        api,
        pod("a", limits={"memory": "8Gi", "cpu": "3500m"}),
        pod("b", limits={"memory": "2G"}, containerStatuses=ended("OOMKilled", times=4)),
        pod("c", containerStatuses=ended("Error", times=1)),
    )

    at = datetime(2026, 3, 1, 11, 58, tzinfo=UTC)
    assert await rows(settings) == [
        ("a", 8 * 2**30, 3.5, None, None, None),
        ("b", 2e9, None, 4, True, at),
        ("c", None, None, 1, False, at),
    ]
    assert api.asked == [("GET", PODS)]


async def test_a_quantity_that_nobody_knows_is_unknown(
    api: FakeKubernetes, settings: Settings
) -> None:
    holds(api, pod("a", limits={"memory": "plenty", "cpu": "1"}))

    assert await rows(settings) == [("a", None, 1.0, None, None, None)]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (403, "grant the verb list on pods in namespace mimir-system"),
        (401, "does not know us (401)"),
        (503, "overloaded or starting"),
    ],
)
async def test_a_refusal_is_one_line_and_fails_nothing(
    api: FakeKubernetes, settings: Settings, code: int, words: str
) -> None:
    api.refused = {"GET": code}

    found = await list_pods(settings, clock=lambda: NOON)

    assert found.containers is None
    assert found.unknown is not None
    assert words in found.unknown
    assert "\n" not in found.unknown


async def test_what_is_no_list_of_pods_is_said_to_be_none(
    api: FakeKubernetes, settings: Settings
) -> None:
    api.put(PODS, items=[{"metadata": {"name": "a"}}])

    found = await list_pods(settings, clock=lambda: NOON)

    assert found.unknown is not None
    assert "no PodList" in found.unknown
