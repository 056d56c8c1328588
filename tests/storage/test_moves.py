"""What was changed: when, in which direction, and how often it turned."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from policy.frames import DECISIONS, MOVES
from policy.reverts import LOWERED
from storage.database import Database
from storage.moves import lowered, moves, record_moves

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def change(at: datetime, before: float, after: float, outcome: str) -> dict[str, object]:
    reason = "reverted" if outcome == "revert" else "r"
    made = "raise" if outcome == "revert" else outcome
    known = {"tenant": "a", "limit": "ingestion_rate", "outcome": made, "reason": reason}
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
    assert found.rows() == [("a", "ingestion_rate", now - 4 * DAY, now - HOUR, 2, 0, 0)]
    assert moves(database, now=now, window=2 * DAY)["reversals"].to_list() == [1]


def test_what_changed_nothing_is_no_move(database: Database, now: datetime) -> None:
    record(database, change(now, 10.0, 10.0, "hold"), change(now, 10.0, 10.0, "withheld"))

    assert moves(database, now=now, window=DAY).is_empty()


@pytest.mark.parametrize(
    ("went", "reverts", "failed"),
    [
        pytest.param("h", 0, 0, id="it held"),
        pytest.param("t", 1, 1, id="it was taken back"),
        pytest.param("htt", 2, 2, id="two in a row"),
        pytest.param("tth", 0, 2, id="since then one held"),
        pytest.param("ttthhh", 0, 2, id="of the last five two"),
        pytest.param("htthht", 1, 3, id="three of five, not in a row"),
        pytest.param("tttttt", 6, 5, id="all"),
    ],
)
def test_how_the_lowerings_went(
    database: Database, now: datetime, went: str, reverts: int, failed: int
) -> None:
    """`h`: a lowering that held, `t`: one that was taken back an hour later; the last is newest."""
    for back, letter in enumerate(reversed(went), start=1):
        at = now - back * 10 * DAY
        record(database, change(at, 10.0, 9.0, "lower"))
        if letter == "t":
            record(database, change(at + HOUR, 9.0, 10.0, "revert"))

    found = moves(database, now=now, window=DAY).row(0, named=True)

    assert (found["reverts"], found["failed"]) == (reverts, failed)


def test_a_raise_after_a_lowering_is_no_revert(database: Database, now: datetime) -> None:
    record(
        database,
        change(now - 2 * HOUR, 10.0, 9.0, "lower"),
        change(now - HOUR, 9.0, 12.0, "raise"),
    )

    assert moves(database, now=now, window=DAY)["reverts"].to_list() == [0]


def test_lowerings_in_vain_are_forgotten_after_ninety_days(
    database: Database, now: datetime
) -> None:
    for day in (100, 95, 91):
        record(database, change(now - day * DAY, 10.0, 9.0, "lower"))
        record(database, change(now - day * DAY + HOUR, 9.0, 10.0, "revert"))

    found = moves(database, now=now, window=DAY).row(0, named=True)

    assert (found["reverts"], found["failed"]) == (0, 0)


def test_a_lowering_is_watched_while_it_is_young_and_the_newest_change(
    database: Database, now: datetime
) -> None:
    young, watched = now - 10 * HOUR / 60, 30 * HOUR / 60
    record(database, change(young, 10.0, 9.0, "lower"))

    def seen(at: datetime, *tenants: str) -> list[tuple]:
        return lowered(database, now=at, within=watched, tenants=tenants).rows()

    assert lowered(database, now=now, within=watched, tenants=["a"]).schema == LOWERED
    assert seen(now, "a", "b") == [("a", "ingestion_rate", young, 10.0, 9.0)]
    assert seen(now, "b") == []
    assert seen(young + watched, "a") == []

    record(database, change(now, 9.0, 10.0, "raise"))

    assert seen(now, "a") == []
