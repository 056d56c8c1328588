"""Which past days came from elsewhere. A day's mark is stored together with its hours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

import polars as pl

from policy.cost.backfill import Filled
from policy.frames import UTC_TIME
from storage.client import query
from storage.database import Database, read_frame
from storage.literals import literal

GAPS_KEPT: Final = 100

# The days of one run, so far.
MARKS: Final = pl.Schema(
    {
        "day": pl.Date(),
        "state": pl.String(),
        "rows": pl.Int64(),
        "tenants": pl.Int64(),
        "hours_priced": pl.Int64(),
        "hours_missing": pl.Int64(),
        "tenant_hours_missing": pl.Int64(),
    }
)

MARK: Final = """
    insert or replace into backfills (
        source, day, until, state, origin, rows, tenants, hours_priced, hours_missing,
        tenant_hours_missing, gaps, started_at, ended_at, run_id
    ) values (
        $source, $day, $until, $state, $origin, $rows, $tenants, $hours_priced, $hours_missing,
        $tenant_hours_missing, $gaps, $started_at, $ended_at, $run_id
    )
"""
DONE: Final = """
    select day, until from backfills where source = {source} and state = 'done' order by day
"""
MARKS_OF_RUN: Final = """
    select day, state, rows, tenants, hours_priced, hours_missing, tenant_hours_missing
    from backfills where run_id = {run_id} order by day
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """Where a day came from, and when it was stored.

    Attributes:
        source: promql or file.
        origin: the address, or the name of the file.
        started_at, ended_at: aware UTC.
    """

    source: str
    origin: str
    run_id: str
    started_at: datetime
    ended_at: datetime


def mark_day(database: Database, filled: Filled, *, marked: Marked, hours_priced: int) -> None:
    """Say that a day is stored, in the transaction that stores it."""
    kept = filled.gaps.sort("hours", descending=True, maintain_order=True).head(GAPS_KEPT)
    told = kept.with_columns(pl.col("start", "end").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).to_dicts()
    with database.transaction() as cursor:
        cursor.execute(
            MARK,
            {
                "source": marked.source,
                "day": filled.day.start.date(),
                "until": filled.day.end,
                "state": "empty" if filled.hours.is_empty() else "done",
                "origin": marked.origin,
                "rows": filled.hours.height,
                "tenants": filled.tenants,
                "hours_priced": hours_priced,
                "hours_missing": filled.hours_missing,
                "tenant_hours_missing": filled.tenant_hours_missing,
                "gaps": json.dumps(told),
                "started_at": marked.started_at,
                "ended_at": marked.ended_at,
                "run_id": marked.run_id,
            },
        )


def days_done(where: str | Database, *, source: str) -> dict[date, datetime]:
    """The days of the source that are stored, each with the end of its last hour.

    Raises:
        StorageError: the history cannot be reached.
    """
    found = _asked(where, DONE.format(source=literal(source))).cast({"until": UTC_TIME})
    return {day: until.astimezone(UTC) for day, until in found.iter_rows()}


def marks_of(where: str | Database, *, run_id: str) -> pl.DataFrame:
    """MARKS of the run, the oldest day first; asked from any process.

    Raises:
        StorageError: the history cannot be reached.
    """
    found = _asked(where, MARKS_OF_RUN.format(run_id=literal(run_id)))
    return found.select(MARKS.names()).cast(MARKS)


def _asked(where: str | Database, sql: str) -> pl.DataFrame:
    return read_frame(where, sql) if isinstance(where, Database) else query(where, sql)
