"""A look and an estimate: the flow, and the process that runs it with workers of a Dask cluster.

    python -m tests.flows.looking ASKED.json ANSWER

PREFECT_API_URL says where the server is. The answer is pickled.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
from datetime import datetime
from functools import partial
from pathlib import Path

from prefect import flow
from prometheus_client import CollectorRegistry

from flows.estimating import Estimated, estimated
from flows.in_force import limits_of
from flows.runtime import Runtime, current, install
from flows.vitals import Vitals
from policy.scrape import Scrape
from policy.settings import parse_settings
from policy.settings.execution import Execution
from policy.signals import SIZED
from storage.database import Database
from tasks.collect import collect
from tasks.spreading import task_runner_of
from tasks.telemetry import Telemetry


@flow(name="look and estimate", persist_result=False)
async def look_and_estimate() -> tuple[Scrape, Estimated]:
    runtime = current()
    return await collect(runtime.settings(), clock=runtime.clock), estimated(
        runtime.database,
        settings=runtime.settings(),
        limits=dict(zip(SIZED, SIZED, strict=True)),
        in_force=partial(limits_of, runtime),
        now=runtime.clock(),
    )


def main(*, asked: Path, answer: Path) -> None:
    told = json.loads(asked.read_text())
    now = datetime.fromisoformat(told["now"])
    runner = task_runner_of(Execution(task_runner="dask", dask_address=told["address"]))
    assert runner is not None
    with Database.open(told["history"], clock=lambda: now) as database:
        install(
            Runtime(
                settings=lambda: parse_settings({"mimir": {"endpoints": told["endpoints"]}}),
                database=database,
                clock=lambda: now,
                telemetry=Telemetry(CollectorRegistry()),
                vitals=Vitals(born_at=now),
            )
        )
        found = asyncio.run(look_and_estimate.with_options(task_runner=runner)())
    answer.write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(asked=Path(sys.argv[1]), answer=Path(sys.argv[2]))
