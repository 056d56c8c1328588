"""From the EndpointSlices of a namespace to the pods that are to be asked.

Pods that are not ready count: they are known, so one that does not answer lowers the coverage
and nothing is lowered on half a picture. A pod that is ending and serves no more does not count:
it is about to be replaced. One pod behind several Services, or with an address of each family, is
one pod. A Service's own address is never used: it answers with one random pod.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from policy.errors import ConfigError, RetriableError
from policy.scrape import Pod
from policy.settings.connection import MetricsDiscovery

SERVICE_LABEL: Final = "kubernetes.io/service-name"
_METRICS: Final = "/metrics"
_SHOWN: Final = 8  # names that an error lists


class DiscoveryError(RetriableError):
    """Which processes Mimir has cannot be told now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """What was found in the cluster.

    Attributes:
        pods: by name.
        services: the Services behind which they are, by name.
        unmatched: names in `metricsDiscovery.serviceNames` that no Service has.
        portless: chosen Services without the wanted port, with pods that no other one leads to.
    """

    pods: tuple[Pod, ...]
    services: tuple[str, ...]
    unmatched: tuple[str, ...]
    portless: tuple[str, ...] = ()


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, hide_input_in_errors=True)


class _Metadata(_Part):
    name: str = ""
    labels: dict[str, str] | None = None


class _Port(_Part):
    name: str | None = None
    port: int | None = None


class _Conditions(_Part):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class _Target(_Part):
    kind: str | None = None
    name: str | None = None


class _Endpoint(_Part):
    addresses: list[str] | None = None
    conditions: _Conditions | None = None
    target_ref: _Target | None = None


class Slice(_Part):
    """An EndpointSlice, as far as it is read. Kubernetes writes empty lists as null."""

    metadata: _Metadata = Field(default_factory=_Metadata)
    address_type: Literal["IPv4", "IPv6", "FQDN"]
    endpoints: list[_Endpoint] | None = None
    ports: list[_Port] | None = None

    @property
    def service(self) -> str:
        """The Service that it belongs to; '' for one that somebody made by hand."""
        return (self.metadata.labels or {}).get(SERVICE_LABEL, "")


class SliceList(_Part):
    """What the Kubernetes API answers to a list."""

    kind: Literal["EndpointSliceList"]
    items: list[Slice] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A pod as one slice shows it, and how well: the lowest rank is believed."""

    pod: Pod
    rank: tuple[bool, bool, bool]


def pods_of(slices: Sequence[Slice], *, discovery: MetricsDiscovery) -> Discovered:
    """The pods behind the chosen Services, each once.

    Args:
        slices: those of the namespace that the label selector chose.
        discovery: names of Services, port and path.

    Raises:
        ConfigError: no Service is chosen, or none has the port.
        DiscoveryError: the Services have no pods just now.
    """
    chosen = [found for found in slices if _is_named(found.service, discovery.service_names)]
    if not chosen:
        raise ConfigError(_nothing_chosen(slices, discovery=discovery))
    ported = [(found, port) for found in chosen if (port := _port(found, discovery.port_name))]
    filled = [found for found in chosen if found.endpoints]
    if not filled:
        raise DiscoveryError(
            f"the Services {_listed({found.service for found in chosen})} in namespace "
            f"{discovery.namespace} have no pods: is Mimir scaled to zero?"
        )
    if not ported:
        names = {port.name or "(no name)" for found in chosen for port in found.ports or ()}
        raise ConfigError(
            f"no Service has a port {discovery.port_name}; there are {_listed(names)}: "
            "set metricsDiscovery.portName"
        )
    candidates = [shown for found, port in ported for shown in _shown_by(found, port, discovery)]
    pods: dict[str, Pod] = {}
    for candidate in sorted(candidates, key=lambda candidate: candidate.rank):
        pods.setdefault(candidate.pod.name, candidate.pod)
    if not pods:
        raise DiscoveryError(f"every pod in namespace {discovery.namespace} is just ending")
    services = {found.service for found in chosen}
    return Discovered(
        pods=tuple(sorted(pods.values(), key=lambda pod: pod.name)),
        services=tuple(sorted(services)),
        unmatched=tuple(
            name
            for name in discovery.service_names
            if not any(_is_named(service, (name,)) for service in services)
        ),
        portless=_portless(filled, known=pods, discovery=discovery),
    )


def in_url(address: str) -> str:
    """An IP address as the host of a URL."""
    return f"[{address}]" if ":" in address else address


def _is_named(service: str, names: Sequence[str]) -> bool:
    """Whether the Service is one of the names, or the headless or a zone's one beside it."""
    beside = r"(-headless|-zone-.+)?"
    return not names or any(re.fullmatch(re.escape(name) + beside, service) for name in names)


def _port(found: Slice, name: str) -> int | None:
    """The number of the port: of that name, else of one that ends in it, as in a-http-metrics."""
    ports = {port.name: port.port for port in found.ports or () if port.name and port.port}
    ends = sorted(other for other in ports if other.endswith(f"-{name}"))
    return ports.get(name) or (ports[ends[0]] if ends else None)


def _portless(
    filled: Sequence[Slice], *, known: Mapping[str, Pod], discovery: MetricsDiscovery
) -> tuple[str, ...]:
    found = {
        one.service
        for one in filled
        if _port(one, discovery.port_name) is None
        for endpoint in one.endpoints or ()
        if endpoint.target_ref and endpoint.target_ref.name not in known
    }
    return tuple(sorted(found))


def _shown_by(found: Slice, port: int, discovery: MetricsDiscovery) -> Iterator[_Candidate]:
    if found.address_type == "FQDN":
        return
    path = discovery.metrics_path
    prefix = path.removesuffix(_METRICS) if path.endswith(_METRICS) else None
    for endpoint in found.endpoints or ():
        said = endpoint.conditions or _Conditions()
        ends = bool(said.terminating)
        if not endpoint.addresses or (ends and not said.serving):
            continue
        url = f"http://{in_url(endpoint.addresses[0])}:{port}{prefix or ''}"
        target = endpoint.target_ref
        name = target.name if target and target.kind == "Pod" else None
        pod = Pod(name=name or url, url=url, metrics_path=path if prefix is None else _METRICS)
        rank = (ends, said.ready is False, found.address_type == "IPv6")
        yield _Candidate(pod=pod, rank=rank)


def _nothing_chosen(slices: Sequence[Slice], *, discovery: MetricsDiscovery) -> str:
    where = f"namespace {discovery.namespace}"
    if not slices:
        said = f"with the labels {discovery.service_label_selector}"
        selected = f" {said}" if discovery.service_label_selector.strip() else ""
        return (
            f"no Service{selected} is in {where}: set metricsDiscovery.namespace or "
            "metricsDiscovery.serviceLabelSelector"
        )
    names = {found.service for found in slices if found.service}
    return (
        f"no Service in {where} has one of the names {_listed(discovery.service_names)}; there "
        f"are {_listed(names)}: set metricsDiscovery.serviceNames"
    )


def _listed(names: Sequence[str] | set[str]) -> str:
    shown = sorted(names)
    more = f" and {len(shown) - _SHOWN} more" if shown[_SHOWN:] else ""
    return f"{', '.join(shown[:_SHOWN])}{more}" if shown else "none"
