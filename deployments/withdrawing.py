"""Publish a withdrawal where no process runs, and wait until Mimir has let go.

Importing this module imports Prefect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from prometheus_client import CollectorRegistry

from flows.publishing import publish_layers, settle_newest
from flows.runtime import Run, Runtime, look
from flows.vitals import Vitals
from flows.writing import release_pen
from policy.errors import ConfigError, OptimizerError
from policy.settings import Settings
from storage.database import Database
from storage.origin import claim
from storage.revisions import newest_revision
from tasks.publish import Publication
from tasks.settle import Settled
from tasks.telemetry import Telemetry

LOOK_SECONDS: Final = 2.0


def withdraw_here(
    settings: Settings, *, order: Callable[[Database], None], wait_seconds: float
) -> list[str]:
    """Open the history, give the order, publish, and close it again; gives what is to be said.

    Args:
        settings: where it is published.
        order: leaves the word of the person in the history.
        wait_seconds: how long Mimir may take to load it; 0: it is not waited for.

    Raises:
        OptimizerError: the history is in use, another process is the writer, or it cannot be
            written; the order stands, and the next `mlo up` goes on with it. Or Mimir did not load
            it in time.
    """

    def clock() -> datetime:
        return datetime.now(UTC)

    memory = settings.storage.memory_limit
    with Database.open(settings.storage.url, clock=clock, memory_limit=memory) as database:
        claim(database, simulated=False, at=clock())
        order(database)
        runtime = Runtime(
            settings=lambda: settings,
            database=database,
            clock=clock,
            telemetry=Telemetry(CollectorRegistry()),
            vitals=Vitals(born_at=clock()),
        )
        run = Run(run_id="withdraw", flow="withdraw", started_at=clock())
        try:
            return asyncio.run(_withdrawn(runtime, run, settings, wait_seconds=wait_seconds))
        finally:
            release_pen(runtime)


async def _withdrawn(
    runtime: Runtime, run: Run, settings: Settings, *, wait_seconds: float
) -> list[str]:
    with suppress(OptimizerError):  # who cannot be heard before can be heard after
        runtime.memory.scrape = await look(runtime, settings)
    publication = await publish_layers(runtime, run, settings)
    if publication.problems:
        raise ConfigError(f"our limits are not withdrawn yet: {publication.problems[0]}")
    said = [_words(publication)]
    if publication.revision is None or not wait_seconds:
        return said
    settled = await _settled(runtime, settings, wait_seconds=wait_seconds)
    if settled is None or settled.outcome != "confirmed":
        line = "Mimir was not heard to have loaded it" if settled is None else settled.line
        raise ConfigError(f"{said[0]}; {line}")
    return [*said, settled.line]


def _words(publication: Publication) -> str:
    if publication.revision is None:
        return "nothing of ours is published"
    count = publication.changes.height
    return f"revision {publication.revision} is written without any limit of ours: {count} are gone"


async def _settled(runtime: Runtime, settings: Settings, *, wait_seconds: float) -> Settled | None:
    found = None
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_seconds):
            while found is None:
                await asyncio.sleep(LOOK_SECONDS)
                with suppress(OptimizerError):
                    seen = await look(runtime, settings)
                    newest = newest_revision(runtime.database)
                    found = await settle_newest(runtime, settings, seen=seen, newest=newest)
    return found
