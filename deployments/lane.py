"""A lane: the thread and event loop that run the flow runs of one deployment, one after another.

A loop and a Prefect client made anew for every run would cost more than what most runs do. So a
lane keeps both, and a heavy flow in its lane delays neither a fast one nor the worker's polling.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextvars import copy_context
from queue import SimpleQueue
from threading import Thread
from typing import Any

from prefect.client.schemas.objects import FlowRun
from prefect.context import AsyncClientContext
from prefect.flow_engine import run_flow
from prefect.flows import Flow

_Work = tuple[Flow[..., Any], FlowRun, "Future[None]"]


class Lane:
    """Runs flow runs in a daemon thread: one that hangs must not keep the process from ending."""

    def __init__(self, name: str) -> None:
        """Make a lane; its thread starts with the first run and never ends by itself."""
        self._name = name
        self._work: SimpleQueue[_Work] = SimpleQueue()
        self._thread: Thread | None = None
        self._running: Future[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a run is under way, whoever still waits for it."""
        return self._running is not None and not self._running.done()

    def run(self, flow: Flow[..., Any], flow_run: FlowRun) -> Future[None]:
        """Run the flow; the future is done when the run has really ended.

        Raises:
            RuntimeError: the lane is busy.
        """
        if self.busy:
            raise RuntimeError(f"the previous run of {flow.name} is still busy")
        if self._thread is None:
            self._thread = Thread(target=self._serve, name=f"lane {self._name}", daemon=True)
            self._thread.start()
        done: Future[None] = Future()
        self._running = done
        done.set_running_or_notify_cancel()
        # For a run of a deployment the engine keeps a thread with a websocket of its own, to hear
        # of a suspension. A resident run cannot be suspended; the server knows its deployment.
        unobserved = flow_run.model_copy(update={"deployment_id": None})
        self._work.put((flow, unobserved, done))
        return done

    def _serve(self) -> None:
        lasting = copy_context()
        client: AsyncClientContext | None = None
        with asyncio.Runner() as runner:
            while True:
                flow, flow_run, done = self._work.get()
                try:
                    client = client or runner.run(_client(), context=lasting)
                    runner.run(_run(flow, flow_run), context=lasting.copy())
                except BaseException as exc:  # noqa: BLE001 - the worker reports it
                    done.set_exception(exc)
                else:
                    done.set_result(None)


async def _client() -> AsyncClientContext:
    """Prefect's client, in the context for every run to come."""
    return await AsyncClientContext().__aenter__()


async def _run(flow: Flow[..., Any], flow_run: FlowRun) -> None:
    answer = run_flow(flow, flow_run=flow_run, return_type="state")
    if asyncio.iscoroutine(answer):
        await answer
