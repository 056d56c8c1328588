"""A process that backfills from generated answers, and may kill itself at a step."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
from prometheus_client import CollectorRegistry

import flows.backfilling
from flows.backfilling import Progress, fill
from flows.runtime import Run, Runtime
from flows.vitals import Vitals
from policy.cost.backfill import days_of
from policy.cost.periods import Period
from policy.settings import parse_settings
from storage.database import Database
from tasks.backfill import PromqlSource
from tasks.promql_http import promql_client
from tasks.telemetry import Telemetry

NOW = datetime(2026, 11, 23, tzinfo=UTC)
DAYS = 2
WHOLE = Period(start=NOW - timedelta(days=DAYS), end=NOW)
USERS = ("a", "b")
TREE = {
    "promql": {"matchers": 'job="mimir"'},
    "costControl": {
        "costMethod": "series",
        "prices": [
            {"from": "2026-01-01", "perThousandSeriesHours": 1},
            {"from": "2026-11-22", "perThousandSeriesHours": 2, "monthlyBill": 720},
        ],
    },
}


class Steps:
    """Counts what is done, and kills the process at one of them."""

    def __init__(self, kill_at: int | None) -> None:
        self.done = 0
        self._kill_at = kill_at

    def take(self) -> None:
        if self.done == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.done += 1

    def before(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def taken(*args: object, **named: object) -> object:
            self.take()
            return work(*args, **named)

        return taken


def answer(request: httpx.Request) -> httpx.Response:
    """What a cluster of two tenants would have been answered: a value for each hour."""
    form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
    query, first, last = form["query"], int(float(form["start"])), int(float(form["end"]))
    times = range(first, last + 1, 3600)
    if "__name__" in query:
        series = [({"__name__": "mimir_build_info"}, lambda _: 1)]
    elif query.startswith("count_over_time"):
        series = [({}, lambda _: 12)]
    else:
        series = [
            ({"user": user}, lambda at, n=n: 12 * (n + 1) * (at // 3600 % 100))
            for n, user in enumerate(USERS)
        ]
    result = [
        {"metric": labels, "values": [[at, str(value(at))] for at in times]}
        for labels, value in series
    ]
    told = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    return httpx.Response(200, content=json.dumps(told, separators=(",", ":")))


def backfill_once(url: str, kill_at: int | None = None, answers: Any = None) -> None:  # noqa: ANN401 - a queue
    """Backfill the range; tell how many steps that took."""
    steps = Steps(kill_at)
    for name in ("import_usage", "price", "mark_day"):
        setattr(flows.backfilling, name, steps.before(getattr(flows.backfilling, name)))
    settings = parse_settings(TREE)
    with Database.open(url, clock=lambda: NOW) as database:
        runtime = Runtime(
            settings=lambda: settings,
            database=database,
            clock=lambda: NOW,
            telemetry=Telemetry(CollectorRegistry()),
            vitals=Vitals(born_at=NOW),
        )
        asyncio.run(_filled(runtime, steps))
    steps.take()
    if answers is not None:
        answers.put(steps.done)


async def _filled(runtime: Runtime, steps: Steps) -> None:
    settings = runtime.settings()

    def answered(request: httpx.Request) -> httpx.Response:
        steps.take()
        return answer(request)

    async def tell(_: Progress) -> None:
        steps.take()  # a day is committed, the next is not begun

    transport = httpx.MockTransport(answered)
    async with promql_client(settings.promql, transport=transport) as client:
        await fill(
            runtime,
            Run(run_id="r", flow="backfill", started_at=NOW),
            settings,
            source=PromqlSource(promql=settings.promql, client=client, clock=lambda: NOW),
            days=days_of(WHOLE),
            again=False,
            tell=tell,
        )
