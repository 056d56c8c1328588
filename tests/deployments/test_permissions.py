"""The doctor asks Kubernetes for each right that publishing needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kmock import RawHandler

from deployments.checks.permissions import check_permissions, rights
from policy.settings import Settings, parse_settings
from tasks.kubernetes_client import api_client
from tests.fake_kubernetes import FakeKubernetes, kubeconfig

pytestmark = pytest.mark.kmock(cls=RawHandler)


@pytest.fixture(autouse=True)
def _new_clients() -> Iterator[None]:
    api_client.cache_clear()
    yield
    api_client.cache_clear()


@pytest.fixture
def api(kmock: RawHandler) -> FakeKubernetes:
    return FakeKubernetes(kmock)


@pytest.fixture
def tree(kmock: RawHandler, tmp_path: Path) -> dict[str, object]:
    return {
        "mode": "prod",
        "mimir": {
            "timeout": "2s",
            "namespace": "mimir",
            "configMapName": "limits",
            "triggerRollout": True,
            "rolloutComponents": ["mimir-querier"],
        },
        "metricsDiscovery": {
            "namespace": "mimir",
            "kubeconfig": str(kubeconfig(tmp_path, str(kmock.url))),
        },
        "publish": {"sink": "configmap", "touchPods": True},
    }


async def test_what_is_granted_is_told_in_one_line(
    api: FakeKubernetes, tree: dict[str, object]
) -> None:
    settings = parse_settings(tree)

    (found,) = await check_permissions(settings)

    assert found.outcome == "ok"
    assert len(api.asked) == len(list(rights(settings)))


async def test_what_is_missing_is_named_with_its_object(
    api: FakeKubernetes, tree: dict[str, object]
) -> None:
    api.allowed = lambda asked: asked["verb"] not in {"patch", "update"}

    (found,) = await check_permissions(parse_settings(tree))

    assert found.outcome == "failed"
    for right in (
        "patch configmaps/limits in mimir",
        "update leases/mimir-limit-optimizer in mimir",
        "patch pods in mimir",
        "patch statefulsets/mimir-querier in mimir",
        "patch deployments/mimir-querier in mimir",
    ):
        assert right in found.found
    assert "get configmaps" not in found.found


@pytest.mark.parametrize("changed", [{"mode": "dry-run"}, {"publish": {}, "mimir": {}}])
async def test_where_none_is_needed_none_is_asked_for(
    api: FakeKubernetes, tree: dict[str, object], changed: dict[str, object]
) -> None:
    settings: Settings = parse_settings(tree | changed)

    assert await check_permissions(settings) == []
    assert api.asked == []


async def test_an_api_that_does_not_answer_is_no_failure_of_ours(
    api: FakeKubernetes, tree: dict[str, object]
) -> None:
    api.refused = {"POST": 401}

    (found,) = await check_permissions(parse_settings(tree))

    assert found.outcome == "skipped"
    assert "does not know us (401)" in found.found
