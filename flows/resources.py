"""What Mimir's own processes use of what they may, at this look."""

from __future__ import annotations

import polars as pl

from flows.resource_words import restart_lines
from flows.runtime import Runtime
from policy.resources import resources, together
from policy.scrape import Scrape
from policy.settings import Settings
from tasks.record import record_resources
from tasks.resources import cluster_view
from tasks.say import say


async def resources_now(
    runtime: Runtime, settings: Settings, *, seen: Scrape, previous: Scrape | None
) -> pl.DataFrame:
    """RESOURCES by the processes themselves, and by their cluster where PromQL is the source.

    They are stored, shown as metrics, and who restarted is said.
    """
    found = resources(seen, previous)
    if settings.metrics_source == "promql":
        view = await cluster_view(settings, clock=runtime.clock)
        found = together(found, view.resources)
    await record_resources(found, database=runtime.database, at=seen.at)
    runtime.telemetry.resources.show(found)
    say(restart_lines(found))
    return found
