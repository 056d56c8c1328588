"""Run a backfill in this process, or have the running one do it and follow.

Importing this module imports Prefect. Only one process may own the history: where one does, its
Prefect server is asked for a run of the deployment `backfill`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import PrefectException
from prometheus_client import CollectorRegistry

from deployments.bar import Bar
from flows.backfill import Asked, Work, backfilled, work_of
from flows.backfill_outcome import Outcome, outcome_of
from flows.backfill_words import day_line, mark_line, outcome_lines
from flows.backfilling import Progress
from flows.runtime import Runtime
from flows.vitals import Vitals
from policy.cost.backfill import due
from policy.errors import ConfigError, RetriableError
from policy.settings import Settings
from storage.backfills import days_done, marks_of
from storage.database import Database
from storage.origin import claim
from storage.runs import problem_of
from tasks.telemetry import Telemetry

__all__ = ["Asked", "backfill_here", "backfill_there", "outcome_lines"]

LOOK_SECONDS: Final = 1.0
DEPLOYMENT: Final = "backfill/backfill"


def backfill_here(settings: Settings, *, asked: Asked, bar: Bar) -> Outcome:
    """Open the history, fill it and close it again.

    Raises:
        OptimizerError: it is in use, or a day could not be had; the days before it stay.
    """

    def clock() -> datetime:
        return datetime.now(UTC)

    async def tell(progress: Progress) -> None:
        line = None if progress.filled is None else day_line(progress.filled)
        bar.show(progress.done, of=progress.of, line=line)

    memory = settings.storage.memory_limit
    with Database.open(settings.storage.url, clock=clock, memory_limit=memory) as database:
        claim(database, simulated=False, at=clock())
        runtime = Runtime(
            settings=lambda: settings,
            database=database,
            clock=clock,
            telemetry=Telemetry(CollectorRegistry()),
            vitals=Vitals(born_at=clock()),
        )
        with _unlogged(), runtime.run("backfill") as run:
            return asyncio.run(backfilled(runtime, run, asked=asked, tell=tell))


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep the failure of a run out of the log: the command says it itself."""
    logger = logging.getLogger("flows.runtime")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def backfill_there(
    settings: Settings,
    *,
    asked: Asked,
    bar: Bar,
    client: SyncPrefectClient | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Have the running process do it, and follow how far it is.

    Args:
        settings: where the history is, and whose prices.
        asked: what for.
        bar: shows it.
        client: of its Prefect server; None: the one that Prefect's settings name.
        sleep: waits so many seconds between two looks.

    Raises:
        OptimizerError: it cannot be done, failed, or the process does not answer any more.
    """
    url = settings.storage.url
    client = client or get_client(sync_client=True)
    work = work_of(asked, settings=settings, now=datetime.now(UTC))
    stored = {} if work.again else days_done(url, source="promql")
    wanted = due(work.days, stored=stored)
    run_id = _begun(client, asked=asked)
    bar.show(0, of=len(wanted))
    shown = 0
    while True:
        state = _state(client, run_id)
        marks = marks_of(url, run_id=str(run_id))
        for mark in marks[shown:].iter_rows(named=True):
            shown += 1
            bar.show(shown, of=len(wanted), line=mark_line(**mark))
        if state.is_final():
            break
        sleep(LOOK_SECONDS)
    if not state.is_completed():
        raise ConfigError(problem_of(url, run_id=str(run_id)) or _why(state))
    return outcome_of(
        url,
        settings.cost_control,
        asked=work.whole,
        origin=_origin(work, settings=settings),
        skipped=len(work.days) - marks.height,
        run_id=str(run_id),
    )


def _begun(client: SyncPrefectClient, *, asked: Asked) -> UUID:
    parameters: dict[str, Any] = {
        "since": asked.since,
        "until": asked.until,
        "step": asked.step,
        "again": asked.again,
        "from_file": asked.file,
    }
    try:
        deployment = client.read_deployment_by_name(DEPLOYMENT)
        return client.create_flow_run_from_deployment(deployment.id, parameters=parameters).id
    except (httpx.HTTPError, PrefectException) as error:
        raise RetriableError(
            f"the history is in use by a running process, and its Prefect server at "
            f"{client.api_url} did not start {DEPLOYMENT} ({type(error).__name__}): is it up, "
            "and prefect.port or PREFECT_API_URL right?"
        ) from error


def _state(client: SyncPrefectClient, run_id: UUID) -> State[Any]:
    try:
        state = client.read_flow_run(run_id).state
    except (httpx.HTTPError, PrefectException) as error:
        raise RetriableError(
            f"the Prefect server at {client.api_url} does not answer any more "
            f"({type(error).__name__}); the days that are stored stay: ask again to go on"
        ) from error
    if state is None:
        raise RetriableError(f"the Prefect server at {client.api_url} knows no state of {run_id}")
    return state


def _why(state: State[Any]) -> str:
    if state.is_cancelled():
        return f"it was not run: {state.message or 'cancelled'}"
    return f"it did not end well: {state.message or state.name}"


def _origin(work: Work, *, settings: Settings) -> str:
    return settings.promql.url if work.file is None else work.file.origin
