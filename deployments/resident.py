"""The long-lived process: the worker, the endpoint, and the runtime that its flows find.

Importing this module imports Prefect.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from socket import gethostname
from typing import Any, Final
from uuid import UUID

from prefect.task_runners import TaskRunner

from deployments.lane import Lane
from deployments.schedule import (
    Scheduled,
    end_stale_runs,
    register,
    run_now,
    scheduled_flows,
)
from deployments.worker import ResidentWorker
from flows.resuming import resume
from flows.runtime import Runtime, install
from flows.vitals import Vitals
from flows.writing import release_pen
from policy.errors import ConfigError
from policy.settings import Settings
from storage.database import Database
from tasks.spreading import task_runner_of
from tasks.telemetry import Telemetry

RESTART_SECONDS: Final = 5.0
SETTLE_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 0.05
LOOK_AT_SETTINGS_SECONDS: Final = 30.0

logger = logging.getLogger(__name__)


class Resident:
    """Runs the scheduled flows of one history."""

    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        database: Database,
        clock: Callable[[], datetime],
        telemetry: Telemetry,
        vitals: Vitals,
        settings_problem: Callable[[], str | None] = lambda: None,
        simulated: bool = False,
    ) -> None:
        self._clock = clock
        self.runtime = Runtime(
            settings=settings,
            database=database,
            clock=clock,
            telemetry=telemetry,
            vitals=vitals,
            settings_problem=settings_problem,
            simulated=simulated,
        )
        self._lanes: dict[UUID, Lane] = {}
        self._scheduled: tuple[Scheduled, ...] = ()
        task_runner_of(settings().execution)
        resume(self.runtime, settings())
        install(self.runtime)

    async def register(self) -> None:
        """Register the deployments, and ask for the first runs of those that start at once."""
        scheduled = scheduled_flows(self.runtime.settings())
        identifiers = await register(scheduled)
        await end_stale_runs()
        self._scheduled = scheduled
        for entry in scheduled:
            if entry.at_once:
                await run_now(identifiers[entry.flow.name])

    async def settle_down(self) -> None:
        """Let the runs that are under way end, for a moment: they hold the history open."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                while any(lane.busy for lane in self._lanes.values()):  # noqa: ASYNC110 - it is threads that end
                    await asyncio.sleep(LOOK_SECONDS)
        await asyncio.to_thread(release_pen, self.runtime)

    async def work(self) -> None:
        """Run what comes due, for ever, at the intervals of the settings as they change."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run_worker())
            group.create_task(self._follow_intervals())

    async def _follow_intervals(self) -> None:
        """Register the deployments anew when the settings name other intervals."""
        while True:
            await asyncio.sleep(LOOK_AT_SETTINGS_SECONDS)
            wanted = scheduled_flows(self.runtime.settings())
            changed = [entry for entry in wanted if entry not in self._scheduled]
            if not changed:
                continue
            try:
                await register(changed)
            except Exception as exc:  # noqa: BLE001 - the server may be away; the next look tries
                logger.warning("schedules not changed yet: %s: %s", type(exc).__name__, exc)
            else:
                self._scheduled = wanted
                names = ", ".join(entry.flow.name for entry in changed)
                logger.info("other intervals from now on: %s", names)

    async def _run_worker(self) -> None:
        """Run the worker; one that lost the Prefect server starts again."""
        while True:
            worker = ResidentWorker(
                clock=self._clock,
                lanes=self._lanes,
                task_runner=self._task_runner,
                name=f"resident-{gethostname()}",
            )
            try:
                await worker.start(printer=logger.debug)
            except Exception as exc:  # noqa: BLE001 - whatever ended it, the next may live
                logger.warning("the worker ended: %s: %s", type(exc).__name__, exc)
            else:
                logger.warning("the worker lost the Prefect server and starts again")
            await asyncio.sleep(RESTART_SECONDS)

    def _task_runner(self) -> TaskRunner[Any] | None:
        """The one that the settings name; where there is none, flows have their own meanwhile."""
        try:
            runner, problem = task_runner_of(self.runtime.settings().execution), None
        except ConfigError as exc:
            runner, problem = None, str(exc)
        self.runtime.say_once("the task runner", problem=problem)
        return runner
