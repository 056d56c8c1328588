"""Check that Mimir's processes are found, and by what right."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from deployments.checks.check import Check, failed, ok, warning
from policy.errors import OptimizerError
from policy.pod_resources import pod_resources
from policy.resources import MEMORY
from policy.scrape import Pod
from policy.settings import Settings
from tasks.discover import asks_kubernetes, discover
from tasks.kubernetes_pods import kubernetes_pods
from tasks.pod_list import pod_list

NAME: Final = "mimir discovery"
CONTAINERS: Final = "mimir containers"
RIGHT: Final = (
    "the Role and its binding are in docs/configuration.md, under Kubernetes discovery; "
    "or list the processes in mimir.endpoints"
)


async def find_pods(
    settings: Settings,
    *,
    clock: Callable[[], datetime],
    environ: Mapping[str, str] = os.environ,
) -> tuple[Check, tuple[Pod, ...]]:
    """Whether the processes of Mimir are found, and which they are."""
    if asks_kubernetes(settings, environ=environ):
        return await _in_kubernetes(settings)
    try:
        pods = await discover(settings, clock=clock, environ=environ)
    except OptimizerError as problem:
        return failed(NAME, str(problem), mend="correct mimir.endpoints"), ()
    listed = "endpoints" in settings.mimir.model_fields_set
    where = "by mimir.endpoints" if listed else "by the default of mimir.endpoints"
    return ok(NAME, f"{len(pods)} processes {where}"), pods


async def find_containers(
    settings: Settings,
    *,
    clock: Callable[[], datetime],
    environ: Mapping[str, str] = os.environ,
) -> list[Check]:
    """Whether the memory that a container may use is told; nothing where pods are not listed."""
    if settings.metrics_source == "promql" or not asks_kubernetes(settings, environ=environ):
        return []
    found = await asyncio.to_thread(pod_list, settings, clock=clock)
    if found.containers is None:
        return [warning(CONTAINERS, found.unknown or "nothing is known of them", mend=RIGHT)]
    told = pod_resources(found.containers, before=found.containers)
    pods = told["pod"].n_unique()
    limited = told.filter(resource=MEMORY)["pod"].n_unique()
    said = f"{limited} of {pods} pods with a container of Mimir have a limit of memory"
    if limited < pods:
        mend = "set resources.limits.memory: emergency levels cannot see the others run full"
        return [warning(CONTAINERS, said, mend=mend)]
    return [ok(CONTAINERS, said)]


async def _in_kubernetes(settings: Settings) -> tuple[Check, tuple[Pod, ...]]:
    discovery = settings.metrics_discovery
    try:
        found = await kubernetes_pods(
            discovery, timeout_seconds=settings.mimir.timeout.total_seconds()
        )
    except OptimizerError as problem:
        return failed(NAME, str(problem), mend=RIGHT), ()
    said = (
        f"{len(found.pods)} pods in namespace {discovery.namespace}, behind the Services "
        f"{', '.join(found.services)}"
    )
    if found.portless:
        return warning(
            NAME,
            f"{said}; no port {discovery.port_name} is on {', '.join(found.portless)}, so nothing "
            "is asked through it",
            mend="set metricsDiscovery.portName to one that each Service has, or leave the Service "
            "out of metricsDiscovery.serviceNames",
        ), found.pods
    if found.unmatched and "service_names" in discovery.model_fields_set:
        return warning(
            NAME,
            f"{said}; there is none named {', '.join(found.unmatched)}",
            mend="correct metricsDiscovery.serviceNames",
        ), found.pods
    return ok(NAME, said), found.pods
