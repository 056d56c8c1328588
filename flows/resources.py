"""What Mimir's own processes use of what they may, at this look."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from flows.resource_words import restart_lines
from flows.runtime import PodsSeen, Runtime
from policy.frames import empty
from policy.pod_resources import CONTAINERS_SEEN, pod_resources, remembered
from policy.resources import RESOURCES, resources, together
from policy.scrape import Scrape
from policy.settings import Settings
from tasks.discover import asks_kubernetes
from tasks.pod_list import PodList, list_pods
from tasks.record import record_resources
from tasks.resources import cluster_view
from tasks.say import say

LISTED_EVERY: Final = timedelta(minutes=1)
RECORDED_EVERY: Final = timedelta(minutes=1)
KEPT: Final = timedelta(minutes=5)


async def resources_now(
    runtime: Runtime, settings: Settings, *, seen: Scrape, previous: Scrape | None
) -> pl.DataFrame:
    """RESOURCES by the processes themselves, and by their cluster.

    The cluster is asked in PromQL where that is the source, else through the API of Kubernetes
    where the processes are found through it. They are stored, shown as metrics, and who restarted
    is said.
    """
    found = resources(seen, previous)
    if settings.metrics_source == "promql":
        view = await cluster_view(settings, clock=runtime.clock)
        found = together(found, view.resources)
    elif asks_kubernetes(settings, environ=os.environ):
        found = together(found, await _of_pods(runtime, settings))
    if _are_due(runtime, at=seen.at):
        await record_resources(found, database=runtime.database, at=seen.at)
    runtime.telemetry.resources.show(found)
    say(restart_lines(found))
    return found


def _are_due(runtime: Runtime, *, at: datetime) -> bool:
    """Whether a minute has gone since they were last recorded."""
    known = runtime.memory.resources_at
    is_due = known is None or not timedelta(0) <= at - known < RECORDED_EVERY
    if is_due:
        runtime.memory.resources_at = at
    return is_due


async def _of_pods(runtime: Runtime, settings: Settings) -> pl.DataFrame:
    """RESOURCES by the objects of the pods, listed once a minute; for a while by an older list."""
    now, known = runtime.clock(), runtime.memory.pods
    if known is not None and timedelta(0) <= now - known.at < LISTED_EVERY:
        return known.resources
    try:
        found = await list_pods(settings, clock=runtime.clock)
    except TimeoutError:
        found = PodList(containers=None, unknown="the Kubernetes API did not answer in time")
    runtime.say_once("asking Kubernetes for the limits of Mimir's pods", problem=found.unknown)
    if found.containers is None:
        fresh_enough = known is not None and now - known.at < KEPT
        return known.resources if known is not None and fresh_enough else empty(RESOURCES)
    before = empty(CONTAINERS_SEEN) if known is None else known.containers
    seen = found.containers
    runtime.memory.pods = PodsSeen(
        at=now,
        containers=remembered(before, seen=seen, at=now),
        resources=pod_resources(seen, before=before),
    )
    return runtime.memory.pods.resources
