"""Where the emergency stands is one row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from storage.database import Database
from storage.emergency import read_emergency, replace_emergency

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_the_newest_state_is_the_only_one_and_outlives_the_process(tmp_path: Path) -> None:
    url = str(tmp_path / "history.duckdb")
    with Database.open(url, clock=lambda: NOON) as database:
        replace_emergency(database, "first", at=NOON)
        replace_emergency(database, "second", at=NOON - timedelta(seconds=1))

    with Database.open(url, clock=lambda: NOON) as database:
        assert read_emergency(database) == "second"


def test_without_a_state_there_is_none(database: Database) -> None:
    assert read_emergency(database) is None
    replace_emergency(database, "some", at=NOON)

    replace_emergency(database, None, at=NOON)

    assert read_emergency(database) is None
