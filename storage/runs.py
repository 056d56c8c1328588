"""Every run of a flow and how it ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from policy.frames import UTC_TIME
from storage.client import query
from storage.database import Database, read_frame
from storage.literals import literal

RUNS: Final = pl.Schema(
    {
        "run_id": pl.String(),
        "flow": pl.String(),
        "started_at": UTC_TIME,
        "finished_at": UTC_TIME,
        "outcome": pl.String(),
        "summary": pl.String(),
    }
)

INSERT_RUN: Final = "insert into runs values (?, ?, ?, ?, ?, ?)"
LATEST_RUNS: Final = """
    select * from runs
    qualify row_number() over (
        partition by flow order by started_at desc, finished_at desc nulls last
    ) = 1
    order by flow
"""
PROBLEM_OF_RUN: Final = """
    select summary ->> '$.problem' as problem from runs where run_id = {run_id}
    order by started_at desc limit 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. `finished_at` None: it is running, or its process died."""

    run_id: str
    flow: str
    started_at: datetime
    outcome: str
    summary: Mapping[str, object]
    finished_at: datetime | None = None


def record_run(database: Database, run: Run) -> None:
    """Store the run; one that Prefect tries again is stored once per try."""
    summary = json.dumps(dict(run.summary), default=str)
    with database.transaction() as cursor:
        cursor.execute(
            INSERT_RUN,
            [run.run_id, run.flow, run.started_at, run.finished_at, run.outcome, summary],
        )


def latest_runs(database: Database) -> pl.DataFrame:
    """The newest run of each flow (RUNS); `summary` is JSON."""
    return read_frame(database, LATEST_RUNS, schema=RUNS)


def problem_of(url: str, *, run_id: str) -> str | None:
    """Why the run failed; None where it did not, or has not ended yet.

    Raises:
        StorageError: the history cannot be reached.
    """
    found = query(url, PROBLEM_OF_RUN.format(run_id=literal(run_id)))["problem"].to_list()
    return str(found[0]) if found and found[0] is not None else None
