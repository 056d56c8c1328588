"""From EndpointSlices to pods: every pod once, by its name, and never a Service's address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from policy.errors import ConfigError
from policy.scrape import Pod
from policy.settings import parse_settings
from policy.settings.connection import MetricsDiscovery
from tasks.endpoint_slices import DiscoveryError, Slice, pods_of

PORTS = [{"name": "grpc", "port": 9095}, {"name": "http-metrics", "port": 8080}]


def discovery(**keys: object) -> MetricsDiscovery:
    return parse_settings({"metricsDiscovery": keys}).metrics_discovery


def endpoint(name: str, address: str, **conditions: bool) -> dict[str, object]:
    return {
        "addresses": [address],
        "conditions": {"ready": True, "serving": True, "terminating": False, **conditions},
        "targetRef": {"kind": "Pod", "name": name, "namespace": "mimir-system"},
    }


def a_slice(
    service: str,
    *endpoints: Mapping[str, object],
    ports: Sequence[dict[str, object]] | None = PORTS,
    family: str = "IPv4",
) -> Slice:
    return Slice.model_validate(
        {
            "metadata": {"name": f"{service}-x", "labels": {"kubernetes.io/service-name": service}},
            "addressType": family,
            "endpoints": list(endpoints) or None,
            "ports": ports,
        }
    )


INGESTER = endpoint("mimir-ingester-zone-a-0", "10.0.0.1")


def test_a_pod_has_its_pods_name_and_the_address_of_the_named_port() -> None:
    found = pods_of([a_slice("mimir-ingester", INGESTER)], discovery=discovery())

    assert found.pods == (Pod(name="mimir-ingester-zone-a-0", url="http://10.0.0.1:8080"),)


def test_one_pod_behind_several_services_is_one_pod() -> None:
    slices = [
        a_slice("mimir-ingester-zone-a", INGESTER),
        a_slice("mimir-ingester-headless", INGESTER),
        a_slice("mimir-ingester-headless", endpoint("mimir-ingester-zone-b-0", "10.0.0.2")),
        a_slice("mimir-gossip-ring", INGESTER, ports=[{"name": "gossip-ring", "port": 7946}]),
    ]

    found = pods_of(slices, discovery=discovery())

    assert [pod.name for pod in found.pods] == [
        "mimir-ingester-zone-a-0",
        "mimir-ingester-zone-b-0",
    ]
    assert found.services == ("mimir-ingester-headless", "mimir-ingester-zone-a")


def test_a_service_without_the_port_is_named_when_no_other_leads_to_its_pods() -> None:
    gossip = [{"name": "gossip-ring", "port": 7946}]
    slices = [
        a_slice("mimir-ingester", INGESTER),
        a_slice("mimir-ingester-headless", INGESTER, ports=gossip),
        a_slice("mimir-distributor", endpoint("mimir-distributor-0", "10.0.0.2"), ports=gossip),
    ]

    found = pods_of(slices, discovery=discovery())

    assert found.portless == ("mimir-distributor",)


def test_two_slices_of_one_service_are_taken_together() -> None:
    slices = [
        a_slice("mimir-distributor", endpoint("d-1", "10.0.0.1")),
        a_slice("mimir-distributor", endpoint("d-2", "10.0.0.2")),
    ]

    assert len(pods_of(slices, discovery=discovery()).pods) == 2


def test_a_pod_that_is_not_ready_is_known() -> None:
    """A known pod that does not answer lowers the coverage; an unknown one would not."""
    unready = endpoint("i-0", "10.0.0.1", ready=False, serving=False)

    found = pods_of([a_slice("mimir-ingester", unready)], discovery=discovery())

    assert [pod.name for pod in found.pods] == ["i-0"]


@pytest.mark.parametrize(("serving", "known"), [(False, 1), (True, 2)])
def test_a_pod_that_ends_is_known_while_it_serves(*, serving: bool, known: int) -> None:
    ending = endpoint("d-old", "10.0.0.1", ready=False, serving=serving, terminating=True)

    found = pods_of(
        [a_slice("mimir-distributor", ending, endpoint("d-new", "10.0.0.2"))],
        discovery=discovery(),
    )

    assert len(found.pods) == known


def test_of_two_addresses_of_one_pod_the_one_that_serves_is_believed() -> None:
    """A slice may lag: after a restart one may still show the address before it."""
    slices = [
        a_slice("mimir-ingester", endpoint("i-0", "10.0.0.1", ready=False, terminating=True)),
        a_slice("mimir-ingester-headless", endpoint("i-0", "10.0.0.9")),
    ]

    assert pods_of(slices, discovery=discovery()).pods[0].url == "http://10.0.0.9:8080"


def test_conditions_that_are_not_told_mean_ready() -> None:
    bare = {"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "i-0"}}

    assert len(pods_of([a_slice("mimir-ingester", bare)], discovery=discovery()).pods) == 1


def test_ipv6_is_used_where_there_is_no_ipv4_and_stands_in_brackets() -> None:
    slices = [
        a_slice("mimir-ingester", endpoint("i-0", "fd00::1"), family="IPv6"),
        a_slice("mimir-ingester", endpoint("i-1", "fd00::2"), family="IPv6"),
        a_slice("mimir-ingester", endpoint("i-1", "10.0.0.2")),
    ]

    found = pods_of(slices, discovery=discovery())

    assert [pod.url for pod in found.pods] == ["http://[fd00::1]:8080", "http://10.0.0.2:8080"]


def test_an_address_without_a_pod_is_its_own_name() -> None:
    by_hand = {"addresses": ["10.9.9.9"]}

    found = pods_of([a_slice("mimir-ingester", by_hand)], discovery=discovery())

    assert found.pods[0].name == "http://10.9.9.9:8080"


def test_a_port_may_be_named_with_its_container_in_front() -> None:
    ports: list[dict[str, object]] = [
        {"name": "ingester-http-metrics", "port": 80},
        {"name": None, "port": 81},
    ]

    found = pods_of([a_slice("mimir-ingester", INGESTER, ports=ports)], discovery=discovery())

    assert found.pods[0].url == "http://10.0.0.1:80"


@pytest.mark.parametrize(
    ("path", "page", "base"),
    [
        ("/metrics", "http://10.0.0.1:8080/metrics", "http://10.0.0.1:8080"),
        ("/mimir/metrics", "http://10.0.0.1:8080/mimir/metrics", "http://10.0.0.1:8080/mimir"),
        ("/internal/prom", "http://10.0.0.1:8080/internal/prom", "http://10.0.0.1:8080"),
    ],
)
def test_what_stands_before_metrics_is_the_prefix_of_every_path(
    path: str, page: str, base: str
) -> None:
    found = pods_of([a_slice("mimir-ingester", INGESTER)], discovery=discovery(metricsPath=path))

    assert found.pods[0].url == base
    assert found.pods[0].url + found.pods[0].metrics_path == page


def test_a_name_stands_for_its_zones_and_for_no_other_service() -> None:
    slices = [
        a_slice("mimir-ingester-zone-a", endpoint("i-a-0", "10.0.0.1")),
        a_slice("mimir-ingester-headless", endpoint("i-b-0", "10.0.0.2")),
        a_slice("mimir-ingester-canary", endpoint("other", "10.0.0.3")),
        a_slice("mimir-gateway", endpoint("nginx", "10.0.0.4")),
    ]

    found = pods_of(slices, discovery=discovery(serviceNames=["mimir-ingester", "mimir-ruler"]))

    assert [pod.name for pod in found.pods] == ["i-a-0", "i-b-0"]
    assert found.unmatched == ("mimir-ruler",)


def test_without_names_every_service_of_the_selector_is_taken() -> None:
    slices = [a_slice("anything", endpoint("a", "10.0.0.1"))]

    assert len(pods_of(slices, discovery=discovery(serviceNames=[])).pods) == 1


@pytest.mark.parametrize(
    ("slices", "words"),
    [
        ([], "no Service with the labels app.kubernetes.io/name=mimir is in namespace"),
        ([a_slice("nginx", INGESTER)], "has one of the names .*; there are nginx: set"),
        (
            [a_slice("mimir-ingester", INGESTER, ports=[{"name": "web", "port": 80}])],
            "no Service has a port http-metrics; there are web: set metricsDiscovery.portName",
        ),
    ],
    ids=["nothing", "other names", "other ports"],
)
def test_what_is_not_there_is_named_with_the_key_to_set(slices: list[Slice], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as told:
        pods_of(slices, discovery=discovery())

    assert "\n" not in str(told.value)


def test_services_without_pods_may_have_some_later() -> None:
    with pytest.raises(DiscoveryError, match="mimir-ingester in namespace mimir-system have no"):
        pods_of([a_slice("mimir-ingester", ports=None)], discovery=discovery())


def test_pods_that_all_end_are_none() -> None:
    ending = endpoint("i-0", "10.0.0.1", serving=False, terminating=True)

    with pytest.raises(DiscoveryError, match=r"every pod .* is just ending"):
        pods_of([a_slice("mimir-ingester", ending)], discovery=discovery())
