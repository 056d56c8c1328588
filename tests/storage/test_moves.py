"""What was changed: when, in which direction, and how often it turned."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from policy.frames import DECISIONS, MOVES
from storage.database import Database
from storage.moves import moves, record_moves

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def change(at: datetime, before: float, after: float, outcome: str) -> dict[str, object]:
    known = {"tenant": "a", "limit": "ingestion_rate", "outcome": outcome, "reason": "r"}
    return dict.fromkeys(DECISIONS.names()) | known | {"at": at, "before": before, "after": after}


def record(database: Database, *rows: dict[str, object]) -> None:
    record_moves(database, pl.DataFrame(list(rows), schema=DECISIONS), run_id="r")


def test_the_turns_of_the_window_are_counted(database: Database, now: datetime) -> None:
    record(
        database,
        change(now - 20 * DAY, 10.0, 9.0, "lower"),
        change(now - 5 * DAY, 9.0, 12.0, "raise"),
        change(now - 4 * DAY, 12.0, 15.0, "raise"),
        change(now - HOUR, 15.0, 14.0, "lower"),
    )

    found = moves(database, now=now, window=14 * DAY)

    assert found.schema == MOVES
    assert found.rows() == [("a", "ingestion_rate", now - 4 * DAY, now - HOUR, 2)]
    assert moves(database, now=now, window=2 * DAY)["reversals"].to_list() == [1]


def test_what_changed_nothing_is_no_move(database: Database, now: datetime) -> None:
    record(database, change(now, 10.0, 10.0, "hold"), change(now, 10.0, 10.0, "withheld"))

    assert moves(database, now=now, window=DAY).is_empty()
