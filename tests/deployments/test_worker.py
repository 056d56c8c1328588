"""The resident worker after a long stop: dozens of runs are late at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import flow
from prefect.client.schemas.objects import FlowRun
from prefect.states import Scheduled, State

from deployments import worker as resident
from deployments.lane import Lane
from deployments.worker import ResidentWorker

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATE = 40


@flow(name="late")
def late() -> None: ...


class Server:
    """Prefect's API as far as the worker asks it; counts how many requests it has at once."""

    def __init__(self, runs: list[FlowRun]) -> None:
        self.runs = runs
        self.under_way = 0
        self.most_at_once = 0
        self.cancelled: set[UUID] = set()

    async def _answer(self) -> None:
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        for _ in range(3):  # what else is ready goes first, as while a request is on its way
            await asyncio.sleep(0)
        self.under_way -= 1

    async def get_scheduled_flow_runs_for_work_pool(self, **_: object) -> list[Any]:
        return [SimpleNamespace(flow_run=run) for run in self.runs]

    async def read_deployment(self, _: UUID) -> SimpleNamespace:
        await self._answer()
        return SimpleNamespace(name="late", entrypoint="late.late")

    async def set_flow_run_state(self, run: UUID, state: State) -> None:
        await self._answer()
        assert state.is_cancelled()
        self.cancelled.add(run)


@pytest.fixture
def server() -> Server:
    """The late runs of two deployments."""
    due = NOON - timedelta(hours=1)
    deployments = (uuid4(), uuid4())
    return Server(
        [
            FlowRun(
                flow_id=uuid4(),
                deployment_id=deployments[number % 2],
                state=Scheduled(scheduled_time=due),
                next_scheduled_start_time=due,
            )
            for number in range(LATE)
        ]
    )


async def test_a_backlog_of_late_runs_asks_the_server_one_thing_at_a_time(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Dozens of requests at once would take every connection of Prefect's server to its database.
    """
    monkeypatch.setattr(resident, "load_flow_from_entrypoint", lambda _: late)
    monkeypatch.setattr(Lane, "busy", True)
    worker = ResidentWorker(clock=lambda: NOON, lanes={})
    worker._client = server  # type: ignore[assignment]

    await worker.get_and_submit_flow_runs()
    await asyncio.gather(*worker._taken.values())

    assert server.cancelled == {run.id for run in server.runs}
    assert server.most_at_once == 1
