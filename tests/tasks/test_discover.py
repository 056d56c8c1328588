"""Which processes Mimir has: what is listed wins, then Kubernetes, then the default."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kmock import KubernetesEmulator

from policy.errors import ConfigError
from policy.scrape import Pod
from policy.settings import Settings, parse_settings
from tasks.discover import FRESH, IN_CLUSTER, KEPT, asks_kubernetes, discover, forget
from tasks.dns import resolved
from tasks.endpoint_slices import DiscoveryError

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
IN_A_POD = {IN_CLUSTER: "10.96.0.1"}


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    forget()
    yield
    forget()


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def settings(tree: dict[str, object] | None = None) -> Settings:
    return parse_settings(tree or {})


async def found(said: Settings, *, environ: dict[str, str] | None = None) -> tuple[Pod, ...]:
    return await discover(said, clock=lambda: NOON, environ=environ or {})


async def test_listed_processes_are_named_by_their_address_and_taken_once() -> None:
    said = settings({"mimir": {"endpoints": ["http://a:1", "http://b:1/p/", "http://a:1"]}})

    assert await found(said, environ=IN_A_POD) == (
        Pod(name="http://a:1", url="http://a:1"),
        Pod(name="http://b:1/p", url="http://b:1/p"),
    )


@pytest.mark.parametrize(
    ("tree", "environ", "asked"),
    [
        ({}, {}, False),
        ({}, IN_A_POD, True),
        ({}, {"KUBECONFIG": "/home/me/.kube/config"}, False),
        ({"metricsDiscovery": {"kubeconfig": "/etc/kubeconfig"}}, {}, True),
        ({"metricsDiscovery": {"enabled": False}}, IN_A_POD, False),
        ({"mimir": {"endpoints": ["http://127.0.0.1:9009"]}}, IN_A_POD, False),
        ({"mimir": {"timeout": "5s"}}, IN_A_POD, True),
    ],
    ids=["alone", "pod", "laptop", "kubeconfig", "disabled", "the default, listed", "not listed"],
)
def test_kubernetes_is_asked_where_there_is_one_and_nothing_is_listed(
    tree: dict[str, object], environ: dict[str, str], *, asked: bool
) -> None:
    """
    A KUBECONFIG in the environment is there for other work and changes nothing.
    """
    assert asks_kubernetes(settings(tree), environ=environ) is asked


async def test_without_anything_the_default_is_asked() -> None:
    assert await found(settings()) == (
        Pod(name="http://127.0.0.1:9009", url="http://127.0.0.1:9009"),
    )


class Resolver:
    """Answers by name; counts how often it was asked."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        self.asked = 0

    async def getaddrinfo(
        self, host: str, port: int, **_: object
    ) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        self.asked += 1
        if host not in self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(0, 0, 0, "", (address, port)) for address in self.addresses[host]]


@pytest.fixture
async def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    made = Resolver()
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", made.getaddrinfo)
    return made


async def test_a_name_is_one_process_at_each_address(resolver: Resolver) -> None:
    resolver.addresses["mimir"] = ["10.0.0.2", "10.0.0.1", "10.0.0.1"]

    pods = await found(settings({"mimir": {"endpoints": ["dns+http://mimir:8080/prefix"]}}))

    assert [pod.url for pod in pods] == [
        "http://10.0.0.1:8080/prefix",
        "http://10.0.0.2:8080/prefix",
    ]
    assert {pod.name for pod in pods} == {pod.url for pod in pods}


@pytest.mark.parametrize(
    ("addresses", "asked"),
    [
        pytest.param(["10.0.0.1", "fd00::1"], ["http://10.0.0.1:8080"], id="as-many-of-both"),
        pytest.param(
            ["10.0.0.1", "fd00::1", "fd00::2"],
            ["http://[fd00::1]:8080", "http://[fd00::2]:8080"],
            id="more-of-one",
        ),
    ],
)
async def test_a_process_with_an_address_of_each_family_is_asked_once(
    resolver: Resolver, addresses: list[str], asked: list[str]
) -> None:
    """Asked at both, everything that it counts would count twice."""
    resolver.addresses["dual"] = addresses

    pods = await resolved("dns+http://dual:8080")

    assert [pod.url for pod in pods] == asked


async def test_a_real_name_resolves_over_the_loop() -> None:
    assert Pod(name="http://127.0.0.1:8080", url="http://127.0.0.1:8080") in await resolved(
        "dns+http://localhost:8080"
    )


async def test_a_name_without_an_address_is_one_line(resolver: Resolver) -> None:
    assert resolver.addresses == {}

    with pytest.raises(DiscoveryError, match=r"^nowhere has no address \(Name .*mimir.endpoints"):
        await found(settings({"mimir": {"endpoints": ["dns+http://nowhere:8080"]}}))


async def test_a_resolver_that_hangs_ends_with_the_time_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hang(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hang)

    with pytest.raises(DiscoveryError, match=r"not resolved within 0\.05 s"):
        await resolved("dns+http://slow:1", timeout_seconds=0.05)


def test_srv_records_are_plainly_not_supported() -> None:
    with pytest.raises(ConfigError, match="SRV records are not supported; write it like dns"):
        settings({"mimir": {"endpoints": ["dnssrv+http://_http-metrics._tcp.mimir"]}})


@pytest.mark.parametrize("text", ["dns+http://user:pass@mimir:80", "dns+mimir:80", "srv+http://a"])
def test_a_name_is_written_like_an_address(text: str) -> None:
    with pytest.raises(ConfigError, match=r"mimir\.endpoints\[0\]"):
        settings({"mimir": {"endpoints": [text]}})


async def test_one_look_asks_once_and_the_next_look_asks_again(resolver: Resolver) -> None:
    resolver.addresses["mimir"] = ["10.0.0.1"]
    said, clock = settings({"mimir": {"endpoints": ["dns+http://mimir:1"]}}), Clock()

    await discover(said, clock=clock, environ={})
    clock.now += FRESH / 2
    await discover(said, clock=clock, environ={})
    within = resolver.asked
    clock.now += FRESH
    await discover(said, clock=clock, environ={})

    assert (within, resolver.asked) == (1, 2)


async def test_while_nobody_answers_the_answer_before_is_used_for_minutes_only(
    resolver: Resolver, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A resolver or a Kubernetes API that is away must not stop the protection of Mimir.
    """
    resolver.addresses["mimir"] = ["10.0.0.1"]
    said, clock = settings({"mimir": {"endpoints": ["dns+http://mimir:1"]}}), Clock()
    before = await discover(said, clock=clock, environ={})
    resolver.addresses.clear()

    with caplog.at_level(logging.WARNING):
        clock.now += timedelta(seconds=30)
        assert await discover(said, clock=clock, environ={}) == before
        clock.now += timedelta(seconds=30)
        assert await discover(said, clock=clock, environ={}) == before
    assert [record.getMessage() for record in caplog.records if "asking the 1" in record.message]
    assert len(caplog.records) == 1  # said once

    clock.now = NOON + KEPT
    with pytest.raises(DiscoveryError):
        await discover(said, clock=clock, environ={})


async def test_a_missing_right_is_told_at_once(kmock: KubernetesEmulator, tmp_path: Path) -> None:
    """What the operator must mend is not hidden behind an answer of before."""
    path = tmp_path / "kubeconfig"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\n"
        f"clusters: [{{name: a, cluster: {{server: '{kmock.url}'}}}}]\n"
        "users: [{name: a, user: {token: x}}]\n"
        "contexts: [{name: a, context: {cluster: a, user: a}}]\n"
    )
    kmock["/"] << 403

    with pytest.raises(ConfigError):
        await found(settings({"metricsDiscovery": {"kubeconfig": str(path)}}))
