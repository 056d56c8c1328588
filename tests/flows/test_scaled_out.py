"""Past one process: two Dask workers, the Prefect server on PostgreSQL, a worker killed at work."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from storage.maintenance import snapshot
from storage.rollups import roll_up
from tests.conftest import Tool
from tests.deployments.system import System
from tests.flows.cluster import Dask, Postgres, dask, postgres
from tests.flows.conftest import World
from tests.flows.looking import look_and_estimate

pytestmark = [pytest.mark.prefect, pytest.mark.alone, pytest.mark.timeout(300)]
EVERY = timedelta(seconds=5)
TWICE = """
    select count(*) as n from (
        select document = lag(document) over (order by revision) as again
        from revisions where outcome != 'failed'
    ) where again
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scaled-out")


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[Dask]:
    with dask(folder, workers=2) as found:
        yield found


@pytest.fixture(scope="module")
def database(debian_tool: Tool) -> Iterator[Postgres]:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    where = programs[-1] if programs else Path(debian_tool("initdb", "postgresql")).parent
    with postgres(where) as found:
        yield found


@pytest.fixture(scope="module")
def system(folder: Path, cluster: Dask, database: Postgres) -> Iterator[System]:
    (folder / "system").mkdir()
    told = {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database.url,
        "MLO_EXECUTION__TASK_RUNNER": "dask",
        "MLO_EXECUTION__DASK_ADDRESS": cluster.address,
    }
    system = System(folder / "system", environ=told)
    system.start()
    with ExitStack() as stack:
        stack.callback(lambda: system.process.poll() is None and system.end())
        system.until("ready", system.ready)
        yield system


async def test_workers_see_and_estimate_what_one_process_does(
    system: System, cluster: Dask, new_world: Callable[..., World], tmp_path: Path
) -> None:
    """The pages of a simulated Mimir whose clock stands still, and the days before."""
    world = new_world()
    roll_up(world.database, now=world.clock(), sustained_for=timedelta(minutes=35))
    here, alone = await look_and_estimate.fn()
    asked, answer = tmp_path / "asked.json", tmp_path / "answer"
    told = {
        "now": world.clock().isoformat(),
        "address": cluster.address,
        "history": str(snapshot(world.database)),
        "endpoints": list(world.settings().mimir.endpoints),
    }
    asked.write_text(json.dumps(told))

    api = {"PREFECT_API_URL": f"http://127.0.0.1:{system.prefect}/api"}
    command = [sys.executable, "-m", "tests.flows.looking", str(asked), str(answer)]
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        env=os.environ | api,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    seen, together = pickle.loads(answer.read_bytes())

    assert seen.answered == here.answered
    assert len(seen.answered) > 2
    assert seen.addresses == here.addresses
    assert_frame_equal(*(sorted_rows(scrape.readings) for scrape in (seen, here)))
    assert alone.estimates.height > 0
    assert_frame_equal(together.estimates, alone.estimates)
    assert_frame_equal(together.risks, alone.risks)

    def recorded(named: str) -> int:
        runs = system.api("task_runs/filter", flows={"name": {"any_": [look_and_estimate.name]}})
        return len([run for run in runs if run["name"].startswith(named)])

    system.until(
        "its tasks", lambda: recorded("scrape ") == 2 and recorded("estimate ") > 0, seconds=30
    )


def sorted_rows(readings: pl.DataFrame) -> pl.DataFrame:
    """The readings without their moments: each look has its own."""
    plain = readings.drop("at").with_columns(pl.col(pl.Categorical).cast(pl.String))
    return plain.sort(plain.columns)


def test_a_worker_killed_in_the_middle_of_a_look_costs_nothing(
    system: System, cluster: Dask, database: Postgres
) -> None:
    """
    Its part is done by the other one in the same look, and no later look begins late.
    """
    system.until("a confirmed revision", lambda: "confirmed: 9 pods" in system.words())
    killed = cluster.workers[1]
    os.kill(killed.pid, signal.SIGSTOP)
    system.until("a look that waits for it", lambda: bool(waiting(system)))
    [run] = waiting(system)

    os.kill(killed.pid, signal.SIGKILL)

    system.until("the end of that look", lambda: state(system, run) == "COMPLETED", seconds=30)
    system.until("both of its parts", lambda: parts(system, run) == 2, seconds=30)
    after = moment(run["expected_start_time"])
    system.until("three more looks", lambda: len(completed(system, after=after)) >= 3, seconds=60)
    later = completed(system, after=after)[-3:]
    system.until("their one part", lambda: all(parts(system, each) == 1 for each in later))
    late = [moment(each["start_time"]) - moment(each["expected_start_time"]) for each in later]
    assert all(timedelta(0) <= each < EVERY for each in late), late
    bad = {"state": {"type": {"any_": ["FAILED", "CRASHED"]}}}
    assert system.api("flow_runs/filter", flow_runs=bad) == []
    assert told(system, "select count(*) as n from samples where coverage < 1") == 0
    assert told(system, TWICE) == 0
    # All of this is in PostgreSQL: nobody started another database.
    assert int(database.ask("select count(*) from flow_run where state_type = 'COMPLETED'")) > 3
    assert not list(system.folder.glob("data/prefect/*.db"))


def looks(system: System, *states: str) -> list[dict[str, Any]]:
    """The runs of `protect` in these states, the first that came due first."""
    found = system.api(
        "flow_runs/filter",
        flows={"name": {"any_": ["protect"]}},
        flow_runs={"state": {"type": {"any_": list(states)}}},
    )
    return sorted(found, key=lambda run: run["expected_start_time"])


def parts(system: System, run: dict[str, Any]) -> int:
    """How many parts of the look of this run were given back."""
    done = system.api(
        "task_runs/filter",
        flow_runs={"id": {"any_": [run["id"]]}},
        task_runs={"state": {"type": {"any_": ["COMPLETED"]}}},
    )
    return len([each for each in done if each["name"].startswith("scrape ")])


def waiting(system: System) -> list[dict[str, Any]]:
    """The look that has only one part back, when both have long been told if they were there."""
    told_by_now = datetime.now(UTC) - timedelta(seconds=4)
    return [
        run
        for run in looks(system, "RUNNING")
        if moment(run["start_time"]) < told_by_now and parts(system, run) == 1
    ]


def state(system: System, run: dict[str, Any]) -> str:
    answer = system.api("flow_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})
    return str(answer[0]["state_type"])


def completed(system: System, *, after: datetime) -> list[dict[str, Any]]:
    """Looks that came due later than this and are over."""
    return [
        run
        for run in looks(system, "COMPLETED")
        if run["auto_scheduled"] and moment(run["expected_start_time"]) > after
    ]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def told(system: System, statement: str) -> int:
    asked = system.run("sql", statement, "-o", "json")
    assert asked.returncode == 0, asked.stderr
    return int(json.loads(asked.stdout)[0]["n"])
