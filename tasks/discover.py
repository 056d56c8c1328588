"""Find out which processes Mimir has: those that are listed, or those that Kubernetes knows.

    mimir.endpoints, where it is set      each as it is written; `dns+` ones at each address
    else, with metricsDiscovery.enabled   Kubernetes, where we run in a cluster or are given a
                                          kubeconfig
    else                                  the default of mimir.endpoints

An answer is kept in this module, by what was asked: it is used again for a few seconds, so that
one look at Mimir asks once, and for some minutes while nobody answers: that the Kubernetes API
or a resolver is away must not stop the protection of Mimir, which is there.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from policy.scrape import Pod
from policy.settings import Settings
from policy.settings.connection import DNS, MetricsDiscovery
from tasks.dns import resolved
from tasks.endpoint_slices import DiscoveryError
from tasks.kubernetes_pods import kubernetes_pods

IN_CLUSTER: Final = "KUBERNETES_SERVICE_HOST"
FRESH: Final = timedelta(seconds=10)
KEPT: Final = timedelta(minutes=5)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    pods: tuple[Pod, ...]
    at: datetime
    told: bool = False
    """Whether it was said that nobody answers since."""


_answers: dict[Hashable, _Answer] = {}
_portless: dict[Hashable, tuple[str, ...]] = {}


async def discover(
    settings: Settings,
    *,
    clock: Callable[[], datetime],
    environ: Mapping[str, str] = os.environ,
) -> tuple[Pod, ...]:
    """Every process of Mimir that is known, each once.

    Args:
        settings: what is listed, or where to look.
        clock: aware UTC; what was found some minutes ago is used where nobody answers now.
        environ: says whether we run in a cluster.

    Raises:
        ConfigError: nothing can be found this way before the operator changes something.
        DiscoveryError: nobody answers, and nothing is remembered.
    """
    if asks_kubernetes(settings, environ=environ):
        discovery = settings.metrics_discovery
        timeout_seconds = settings.mimir.timeout.total_seconds()

        async def ask() -> tuple[Pod, ...]:
            found = await kubernetes_pods(discovery, timeout_seconds=timeout_seconds)
            _tell_portless(found.portless, discovery=discovery)
            return found.pods

        return await _remembering(discovery, ask, clock=clock)
    found = await asyncio.gather(
        *(_listed(endpoint, clock=clock) for endpoint in settings.mimir.endpoints)
    )
    return tuple(dict.fromkeys(pod for pods in found for pod in pods))


def asks_kubernetes(settings: Settings, *, environ: Mapping[str, str]) -> bool:
    """Whether Kubernetes is asked.

    A KUBECONFIG in the environment is none of ours: it is there on many a laptop, and `mlo`
    started there to look around is not to look into whatever cluster it names.
    """
    discovery = settings.metrics_discovery
    listed = "endpoints" in settings.mimir.model_fields_set
    there = discovery.kubeconfig is not None or bool(environ.get(IN_CLUSTER))
    return discovery.enabled and there and not listed


def forget() -> None:
    """Forget what was found and told, so that the next question is asked."""
    _answers.clear()
    _portless.clear()


def _tell_portless(services: tuple[str, ...], *, discovery: MetricsDiscovery) -> None:
    """Say once which Services lead to pods that are not asked."""
    if services and _portless.get(discovery) != services:
        _log.warning(
            "the Services %s have no port %s, so their pods are not asked: set "
            "metricsDiscovery.portName",
            ", ".join(services),
            discovery.port_name,
        )
    _portless[discovery] = services


async def _listed(endpoint: str, *, clock: Callable[[], datetime]) -> tuple[Pod, ...]:
    if not endpoint.startswith(DNS):
        return (Pod(name=endpoint, url=endpoint),)

    async def ask() -> tuple[Pod, ...]:
        return tuple(await resolved(endpoint))

    return await _remembering(endpoint, ask, clock=clock)


async def _remembering(
    key: Hashable, ask: Callable[[], Awaitable[tuple[Pod, ...]]], *, clock: Callable[[], datetime]
) -> tuple[Pod, ...]:
    """The answer, or the one before it where there is none."""
    now, known = clock(), _answers.get(key)
    if known is not None and timedelta(0) <= now - known.at < FRESH:
        return known.pods
    try:
        pods = await ask()
    except DiscoveryError as problem:
        if known is None or not now - known.at < KEPT:
            raise
        if not known.told:
            _log.warning("%s; asking the %d pods found before", problem, len(known.pods))
            _answers[key] = _Answer(pods=known.pods, at=known.at, told=True)
        return known.pods
    _answers[key] = _Answer(pods=pods, at=now)
    return pods
