"""A backfill is killed at each of its steps: the next one ends it, with nothing lost or doubled.

Real processes and SIGKILL: before each question, before each part of the transaction of a day, and
after each commit.
"""

from __future__ import annotations

import multiprocessing
import random
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from storage.database import Database
from tests.flows.backfiller import DAYS, NOW, USERS, backfill_once

SECONDS = 60.0
TABLES = {
    "usage_imported": '"at", tenant, signal, mean, covered_seconds, origin',
    "costs": "* exclude (run_id)",
    "bills": "*",
    "backfills": "source, day, until, state, rows, tenants, hours_priced, hours_missing",
}

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def context() -> Any:  # noqa: ANN401 - multiprocessing's
    """Starts processes that have imported everything already."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["tests.flows.backfiller"])
    return found


def ended(process: Any) -> int:  # noqa: ANN401 - multiprocessing's
    process.join(SECONDS)
    assert process.exitcode is not None, "it does not end"
    code: int = process.exitcode
    return code


def run(context: Any, path: Path, *, kill_at: int | None = None) -> int:  # noqa: ANN401
    process = context.Process(target=backfill_once, args=(str(path), kill_at), daemon=True)
    process.start()
    return ended(process)


def stored(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of every table that a backfill writes, in order."""
    with Database.open(str(path), clock=lambda: NOW) as database:
        return {
            table: database.cursor()
            .execute(f"select {columns} from {table} order by all")
            .fetchall()
            for table, columns in TABLES.items()
        }


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history without a row."""
    path = tmp_path_factory.mktemp("empty") / "history.duckdb"
    Database.open(str(path), clock=lambda: NOW).close()
    return path


@pytest.fixture(scope="module")
def undisturbed(
    context: Any,  # noqa: ANN401
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, list[tuple[object, ...]]], int]:
    """What a run that nobody disturbs stores, and how many steps it takes."""
    path = tmp_path_factory.mktemp("undisturbed") / "history.duckdb"
    answers = context.SimpleQueue()
    process = context.Process(target=backfill_once, args=(str(path), None, answers), daemon=True)
    process.start()
    assert ended(process) == 0
    rows = stored(path)
    assert len(rows["costs"]) == DAYS * 24 * len(USERS)
    assert len(rows["backfills"]) == DAYS
    assert len({(at, tenant, signal) for at, tenant, signal, *_ in rows["usage_imported"]}) == len(
        rows["usage_imported"]
    )
    return rows, answers.get()


def test_killed_at_any_step_the_next_run_ends_it_and_the_rows_are_the_same(
    context: Any,  # noqa: ANN401
    undisturbed: tuple[dict[str, list[tuple[object, ...]]], int],
    empty: Path,
    tmp_path: Path,
) -> None:
    rows, steps = undisturbed

    for step in range(steps):
        path = shutil.copy(empty, tmp_path / f"killed-at-{step}.duckdb")
        assert run(context, path, kill_at=step) == -signal.SIGKILL, step
        between = stored(path)
        # What is there is whole days, each with its mark, its costs and its usage.
        days = len(between["backfills"])
        assert len(between["costs"]) == days * 24 * len(USERS), step
        assert len(between["usage_imported"]) * DAYS == days * len(rows["usage_imported"]), step

        assert run(context, path) == 0, step

        assert stored(path) == rows, step


def test_killed_again_and_again_at_random_moments_it_still_comes_to_the_same(
    context: Any,  # noqa: ANN401
    undisturbed: tuple[dict[str, list[tuple[object, ...]]], int],
    empty: Path,
    tmp_path: Path,
) -> None:
    """From outside and at no step of ours: in the middle of a write, or of DuckDB's own work."""
    rows, _ = undisturbed
    path, chance = shutil.copy(empty, tmp_path / "history.duckdb"), random.Random(1)
    killed = 0
    for _ in range(6):
        process = context.Process(target=backfill_once, args=(str(path),), daemon=True)
        process.start()
        timer = threading.Timer(chance.uniform(0.02, 0.4), process.kill)
        timer.start()
        killed += ended(process) == -signal.SIGKILL
        timer.cancel()

    assert run(context, path) == 0

    assert killed > 0
    assert stored(path) == rows
