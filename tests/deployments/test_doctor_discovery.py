"""The doctor tells how Mimir's processes are found, and which right is missing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kmock import KubernetesEmulator

from deployments.checks.discovery import find_containers, find_pods
from policy.settings import Settings, parse_settings
from tasks.discover import discover, forget
from tasks.kubernetes_client import api_client

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PODS = "get /api/v1/namespaces/mimir-system/pods"
SLICES = "get /apis/discovery.k8s.io/v1/namespaces/mimir-system/endpointslices"
INGESTERS = {
    "kind": "EndpointSliceList",
    "items": [
        {
            "metadata": {"labels": {"kubernetes.io/service-name": "mimir-ingester-zone-a"}},
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "ingester-0"}}
            ],
            "ports": [{"name": "http-metrics", "port": 8080}],
        }
    ],
}


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    forget()
    api_client.cache_clear()
    yield
    forget()
    api_client.cache_clear()


def in_cluster(folder: Path, server: str, **keys: object) -> Settings:
    path = folder / "kubeconfig"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\n"
        f"clusters: [{{name: a, cluster: {{server: '{server}'}}}}]\n"
        "users: [{name: a, user: {token: x}}]\n"
        "contexts: [{name: a, context: {cluster: a, user: a}}]\n"
    )
    return parse_settings({"metricsDiscovery": {"kubeconfig": str(path), **keys}})


async def test_the_pods_and_their_services_are_told(
    kmock: KubernetesEmulator, tmp_path: Path
) -> None:
    """That the default names more Services than there are is no fault."""
    kmock[SLICES] << INGESTERS

    check, pods = await find_pods(in_cluster(tmp_path, str(kmock.url)), clock=lambda: NOON)

    assert check.outcome == "ok"
    assert "1 pods in namespace mimir-system" in check.found
    assert "mimir-ingester-zone-a" in check.found
    assert [pod.name for pod in pods] == ["ingester-0"]


async def test_a_name_that_no_service_has_is_a_warning(
    kmock: KubernetesEmulator, tmp_path: Path
) -> None:
    kmock[SLICES] << INGESTERS
    names = ["mimir-ingester", "mimir-distributer"]

    check, pods = await find_pods(
        in_cluster(tmp_path, str(kmock.url), serviceNames=names), clock=lambda: NOON
    )

    assert check.outcome == "warning"
    assert "there is none named mimir-distributer" in check.found
    assert len(pods) == 1


async def test_a_service_without_the_port_is_told_once_and_is_a_warning(
    kmock: KubernetesEmulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    portless = {
        "metadata": {"labels": {"kubernetes.io/service-name": "mimir-distributor"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.2"], "targetRef": {"kind": "Pod", "name": "d-0"}}],
        "ports": [{"name": "http", "port": 8080}],
    }
    kmock[SLICES] << {**INGESTERS, "items": [*INGESTERS["items"], portless]}
    settings = in_cluster(tmp_path, str(kmock.url))
    moments = iter([NOON, NOON + timedelta(minutes=1)])

    check, pods = await find_pods(settings, clock=lambda: NOON)
    for _ in range(2):
        await discover(settings, clock=lambda: next(moments))

    assert check.outcome == "warning"
    assert "no port http-metrics is on mimir-distributor" in check.found
    assert [pod.name for pod in pods] == ["ingester-0"]
    told = [line for line in caplog.messages if "have no port http-metrics" in line]
    assert len(told) == 1


async def test_a_missing_right_names_the_verb(kmock: KubernetesEmulator, tmp_path: Path) -> None:
    kmock[SLICES] << 403

    check, pods = await find_pods(in_cluster(tmp_path, str(kmock.url)), clock=lambda: NOON)

    assert check.outcome == "failed"
    assert "grant the verb list on endpointslices" in check.found
    assert "docs/configuration.md" in (check.mend or "")
    assert pods == ()


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({}, "1 processes by the default of mimir.endpoints"),
        ({"mimir": {"endpoints": ["http://a", "http://b"]}}, "2 processes by mimir.endpoints"),
    ],
)
async def test_without_a_cluster_it_says_who_named_the_processes(
    tree: dict[str, object], words: str
) -> None:
    check, _ = await find_pods(parse_settings(tree), clock=lambda: NOON, environ={})

    assert (check.outcome, check.found) == ("ok", words)


def pod(name: str, *, memory: str | None = "8Gi") -> dict[str, object]:
    limits = {} if memory is None else {"memory": memory}
    container = {"name": "ingester", "resources": {"limits": limits}}
    status = {"containerStatuses": [{"name": "ingester", "restartCount": 0}]}
    return {
        "metadata": {"name": name, "uid": name},
        "spec": {"containers": [container]},
        "status": status,
    }


@pytest.mark.parametrize(
    ("pods", "outcome", "words"),
    [
        ([pod("a"), pod("b")], "ok", "2 of 2 pods"),
        ([pod("a"), pod("b", memory=None)], "warning", "1 of 2 pods"),
        ([], "warning", "no pod is in namespace mimir-system"),
    ],
)
async def test_whether_the_limits_of_memory_are_known_is_told(
    kmock: KubernetesEmulator,
    tmp_path: Path,
    pods: list[dict[str, object]],
    outcome: str,
    words: str,
) -> None:
    kmock[PODS] << {"kind": "PodList", "items": pods}

    (check,) = await find_containers(in_cluster(tmp_path, str(kmock.url)), clock=lambda: NOON)

    assert check.outcome == outcome
    assert words in check.found


async def test_a_right_to_list_pods_that_is_missing_is_a_warning(
    kmock: KubernetesEmulator, tmp_path: Path
) -> None:
    kmock[PODS] << 403

    (check,) = await find_containers(in_cluster(tmp_path, str(kmock.url)), clock=lambda: NOON)

    assert check.outcome == "warning"
    assert "grant the verb list on pods" in check.found


async def test_where_pods_are_not_listed_nothing_is_said_of_containers(tmp_path: Path) -> None:
    listed = parse_settings({"mimir": {"endpoints": ["http://a:1"]}})
    by_promql = parse_settings(
        {
            "metricsSource": "promql",
            "promql": {"url": "http://prometheus:9090"},
            "metricsDiscovery": {"kubeconfig": str(tmp_path / "none")},
        }
    )

    for settings in (listed, by_promql):
        assert await find_containers(settings, clock=lambda: NOON, environ={}) == []
