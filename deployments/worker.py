"""The resident worker: scheduled flow runs executed inside this long-lived process.

Prefect's own runner starts a Python process per flow run: 2.6 s of CPU and 100 MB each.
A worker is Prefect's public extension point, so scheduling, states, retries, logs, pause and
`prefect deployment run` all stay Prefect's. Each deployment has a lane of its own.

Runs of one deployment never overlap: one that comes due while its predecessor is still busy is
cancelled and says so. A run cannot be killed from outside; its tasks carry timeouts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import anyio.abc
from prefect.client.schemas.objects import FlowRun
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.states import Cancelled
from prefect.task_runners import TaskRunner
from prefect.workers.base import (
    BaseJobConfiguration,
    BaseVariables,
    BaseWorker,
    BaseWorkerResult,
)

from deployments.lane import Lane

POOL = "resident"

logger = logging.getLogger(__name__)


class ResidentResult(BaseWorkerResult):
    """The run's end is in its Prefect state; the worker has nothing to add."""


class ResidentWorker(BaseWorker[BaseJobConfiguration, BaseVariables, ResidentResult]):
    """Runs flows of the work pool in lanes of this process."""

    type = "resident"
    job_configuration = BaseJobConfiguration
    _description = "Executes flow runs inside one long-lived process."

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        lanes: dict[UUID, Lane],
        task_runner: Callable[[], TaskRunner[Any] | None] = lambda: None,
        **kwargs: Any,  # noqa: ANN401 - Prefect's own
    ) -> None:
        """Make a worker.

        Args:
            clock: aware UTC.
            lanes: by deployment; they outlive this worker, as the runs in them do.
            task_runner: the one that flows get at their next run; None for their own.
            **kwargs: of Prefect's BaseWorker.
        """
        super().__init__(work_pool_name=POOL, **kwargs)
        self._clock = clock
        self._lanes = lanes
        self._task_runner = task_runner
        self._flows: dict[UUID, Flow[..., Any]] = {}
        self._taken: dict[UUID, asyncio.Task[None]] = {}
        # After a long stop dozens of runs are late at once. So many requests at a time would take
        # every connection that Prefect's server has to its database, and none would be answered.
        self._one_request = asyncio.Lock()

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Take the runs that come due within the prefetch time; each waits here for its second.

        The inherited way reads each run's deployment, renders the environment of a process to be
        and moves the run through two more states, in case that process fails to start: most of
        what a run costs. Here nothing has to start. A run stays `Scheduled` until it runs, so
        one that we never come to is not lost.
        """
        horizon = self._clock() + timedelta(seconds=self._prefetch_seconds)
        found = await self.client.get_scheduled_flow_runs_for_work_pool(
            work_pool_name=POOL, scheduled_before=horizon
        )
        new = [entry.flow_run for entry in found if entry.flow_run.id not in self._taken]
        for flow_run in new:
            self._taken[flow_run.id] = asyncio.create_task(self._take(flow_run))
        return new

    async def _take(self, flow_run: FlowRun) -> None:
        try:
            await self.run(flow_run, BaseJobConfiguration())
        except Exception as exc:  # noqa: BLE001 - Prefect's refusal, a lost server: the next may run
            logger.warning("%s did not run: %s: %s", flow_run.name, type(exc).__name__, exc)
        finally:
            del self._taken[flow_run.id]

    async def run(
        self,
        flow_run: FlowRun,
        configuration: BaseJobConfiguration,  # noqa: ARG002 - Prefect's signature
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> ResidentResult:
        """Wait for the run's time, then run it, unless its predecessor is still busy."""
        identifier = str(flow_run.id)
        if task_status is not None:
            task_status.started(0)  # no process of its own to name
        deployment = flow_run.deployment_id or flow_run.flow_id
        flow = await self._flow_of(flow_run)
        await self._until_due(flow_run)
        lane = self._lanes.setdefault(deployment, Lane(flow.name))
        if lane.busy:
            message = f"the previous run of {flow.name} is still busy"
            async with self._one_request:
                await self.client.set_flow_run_state(flow_run.id, Cancelled(message=message))
            logger.info("%s skipped: %s", flow_run.name, message)
            return ResidentResult(status_code=0, identifier=identifier)
        # The run may have been cancelled while it waited; the engine asks the server again.
        if (runner := self._task_runner()) is not None:
            flow = flow.with_options(task_runner=runner)
        await asyncio.wrap_future(lane.run(flow, flow_run))
        return ResidentResult(status_code=0, identifier=identifier)

    async def kill_infrastructure(
        self,
        infrastructure_pid: str,
        configuration: BaseJobConfiguration,
        grace_seconds: int = 30,
    ) -> None:
        """Nothing to kill: the run is in a thread of ours, and its tasks end by their timeouts."""

    async def _flow_of(self, flow_run: FlowRun) -> Flow[..., Any]:
        key = flow_run.deployment_id or flow_run.flow_id
        async with self._one_request:
            if key not in self._flows:
                deployment = await self.client.read_deployment(key)
                if deployment.entrypoint is None:
                    raise ValueError(f"deployment {deployment.name} names no entrypoint")
                self._flows[key] = load_flow_from_entrypoint(deployment.entrypoint)
        return self._flows[key]

    async def _until_due(self, flow_run: FlowRun) -> None:
        due = flow_run.next_scheduled_start_time or flow_run.expected_start_time
        if due is not None:
            await anyio.sleep(max(0.0, due.timestamp() - self._clock().timestamp()))
