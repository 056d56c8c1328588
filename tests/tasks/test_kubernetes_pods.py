"""Asking a Kubernetes API for Mimir's pods, with the official client and over real HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import perf_counter

import pytest
from kmock import KubernetesEmulator

from policy.errors import ConfigError, OptimizerError
from policy.settings import parse_settings
from policy.settings.connection import MetricsDiscovery
from tasks.endpoint_slices import DiscoveryError
from tasks.kubernetes_client import api_client
from tasks.kubernetes_pods import kubernetes_pods

SECRET = "t0ken-of-the-test"
SLICES = "get /apis/discovery.k8s.io/v1/namespaces/mimir-system/endpointslices"
NAMES = {"kubernetes.io/service-name": "mimir-ingester"}


@pytest.fixture(autouse=True)
def _new_clients() -> Iterator[None]:
    """Each test's server has its own address, and its own kubeconfig."""
    api_client.cache_clear()
    yield
    api_client.cache_clear()


def kubeconfig(folder: Path, server: str) -> Path:
    path = folder / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "a", "cluster": {"server": server}}],
        "users": [{"name": "a", "user": {"token": SECRET}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "current-context": "a",
    }
    path.write_text(json.dumps(document))
    return path


def looking(folder: Path, server: str, **keys: object) -> MetricsDiscovery:
    tree = {"kubeconfig": str(kubeconfig(folder, server)), **keys}
    return parse_settings({"metricsDiscovery": tree}).metrics_discovery


def answer(*slices: Mapping[str, object]) -> dict[str, object]:
    return {"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "items": list(slices)}


def status(code: int, message: str) -> dict[str, object]:
    return {"kind": "Status", "apiVersion": "v1", "code": code, "message": message}


INGESTERS = {
    "metadata": {"name": "mimir-ingester-abcde", "labels": NAMES},
    "addressType": "IPv4",
    "endpoints": [
        {
            "addresses": ["10.0.0.7"],
            "conditions": {"ready": True},
            "targetRef": {"kind": "Pod", "name": "mimir-ingester-0"},
        }
    ],
    "ports": [{"name": "http-metrics", "port": 8080, "protocol": "TCP"}],
}
SCALED_TO_ZERO = {
    "metadata": {"name": "mimir-querier-abcde"},
    "addressType": "IPv4",
    "endpoints": None,
    "ports": None,
}


async def test_one_list_of_one_namespace_is_asked_with_the_token_of_the_kubeconfig(
    kmock: KubernetesEmulator, tmp_path: Path
) -> None:
    """Kubernetes writes an empty list as null."""
    kmock[SLICES] << answer(INGESTERS, SCALED_TO_ZERO)

    found = await kubernetes_pods(looking(tmp_path, str(kmock.url)), timeout_seconds=2)

    assert [(pod.name, pod.url) for pod in found.pods] == [
        ("mimir-ingester-0", "http://10.0.0.7:8080")
    ]
    assert len(kmock) == 1
    asked = next(iter(kmock))
    assert asked.headers["Authorization"] == f"Bearer {SECRET}"
    assert asked.params["labelSelector"] == "app.kubernetes.io/name=mimir"


async def test_without_a_selector_none_is_sent(kmock: KubernetesEmulator, tmp_path: Path) -> None:
    kmock[SLICES] << answer(INGESTERS)

    await kubernetes_pods(
        looking(tmp_path, str(kmock.url), serviceLabelSelector=""), timeout_seconds=2
    )

    assert "labelSelector" not in next(iter(kmock)).params


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (401, ConfigError, "does not know us (401)"),
        (403, ConfigError, "grant the verb list on endpointslices of discovery.k8s.io in"),
        (404, ConfigError, "Kubernetes 1.21"),
        (400, ConfigError, "(400, no such operator): check the keys of metricsDiscovery"),
        (429, DiscoveryError, "answered 429: it is overloaded or starting"),
        (500, DiscoveryError, "answered 500: it is overloaded or starting"),
    ],
)
async def test_a_refusal_is_one_line_with_the_way_out(
    kmock: KubernetesEmulator, tmp_path: Path, code: int, kind: type[OptimizerError], words: str
) -> None:
    kmock[SLICES] << code << status(code, "no such operator")

    with pytest.raises(kind) as told:
        await kubernetes_pods(looking(tmp_path, str(kmock.url)), timeout_seconds=2)

    assert words in str(told.value)
    assert "\n" not in str(told.value)
    assert SECRET not in str(told.value)
    assert len(kmock) == 1  # tried again by the flow's task, not behind its back


async def test_new_credentials_are_read_after_a_refusal(
    kmock: KubernetesEmulator, tmp_path: Path
) -> None:
    kmock[SLICES] << 401
    discovery = looking(tmp_path, str(kmock.url))
    with pytest.raises(ConfigError):
        await kubernetes_pods(discovery, timeout_seconds=2)
    path = tmp_path / "kubeconfig"
    path.write_text(path.read_text().replace(SECRET, "rotated"))

    with pytest.raises(ConfigError):
        await kubernetes_pods(discovery, timeout_seconds=2)

    assert list(kmock)[1].headers["Authorization"] == "Bearer rotated"


async def test_a_slow_api_ends_with_the_time_out(kmock: KubernetesEmulator, tmp_path: Path) -> None:
    released = asyncio.Event()
    kmock[SLICES] << released.wait
    began = perf_counter()

    with pytest.raises(DiscoveryError, match=r"did not answer within 0\.3 s"):
        await kubernetes_pods(looking(tmp_path, str(kmock.url)), timeout_seconds=0.3)

    released.set()
    assert perf_counter() - began < 1.5


async def test_an_api_that_is_not_there_is_told(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{probe.getsockname()[1]}"

        with pytest.raises(DiscoveryError, match=r"could not be reached .*check the network"):
            await kubernetes_pods(looking(tmp_path, nobody), timeout_seconds=2)


@pytest.mark.parametrize(
    "body", [b"<html>please log in</html>", {"kind": "PodList", "items": []}], ids=["login", "pods"]
)
async def test_what_is_no_list_of_slices_is_not_believed(
    kmock: KubernetesEmulator, tmp_path: Path, body: bytes | dict[str, object]
) -> None:
    kmock[SLICES] << body

    with pytest.raises(ConfigError, match="no EndpointSliceList: is a proxy in between"):
        await kubernetes_pods(looking(tmp_path, str(kmock.url)), timeout_seconds=2)


@pytest.mark.parametrize("text", ["{}", f"users: [{{token: {SECRET}", None])
async def test_a_kubeconfig_that_cannot_be_used_is_named_without_its_content(
    tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    discovery = parse_settings({"metricsDiscovery": {"kubeconfig": str(path)}}).metrics_discovery

    with pytest.raises(ConfigError) as told:
        await kubernetes_pods(discovery, timeout_seconds=2)

    assert f"metricsDiscovery.kubeconfig {path} cannot be used" in str(told.value)
    assert SECRET not in str(told.value)


async def test_a_pod_without_a_service_account_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    with pytest.raises(ConfigError, match=r"no service account .*mimir\.endpoints"):
        await kubernetes_pods(MetricsDiscovery(), timeout_seconds=2)
