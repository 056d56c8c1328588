"""Check that Mimir's processes are found, and by what right."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from deployments.checks.check import Check, failed, ok, warning
from policy.errors import OptimizerError
from policy.scrape import Pod
from policy.settings import Settings
from tasks.discover import asks_kubernetes, discover
from tasks.kubernetes_pods import kubernetes_pods

NAME: Final = "mimir discovery"
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
