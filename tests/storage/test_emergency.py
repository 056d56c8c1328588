"""Where the emergency stands is one row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from policy.emergency.state import State, as_json
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


VIEW = "select level, phase, since, because, restored, squeezed, unmeasured from v_emergency"


@pytest.mark.parametrize(("restored", "squeezed"), [(0.0, 60.0), (10.0, 60.0), (40.0, 60.0)])
def test_the_view_tells_the_state_as_it_is_meant(
    database: Database, restored: float, squeezed: float
) -> None:
    state = State(
        level="panic",
        phase=4,
        since=NOON,
        because="cpu of ingester-0 at 97 %",
        restored=restored,
        squeezed=squeezed,
        blind=True,
    )
    replace_emergency(database, as_json(state), at=NOON)

    told = database.cursor().execute(VIEW).fetchone()

    assert told == ("panic", 4, NOON, state.because, restored, state.squeeze, True)


def test_without_a_level_the_view_says_none_and_of_what_is_not_known_nothing(
    database: Database,
) -> None:
    replace_emergency(database, as_json(State()), at=NOON)

    told = database.cursor().execute(VIEW).fetchone()

    assert told == ("none", 0, None, None, 0, 0, False)


def test_a_state_of_an_older_release_was_not_squeezed(database: Database) -> None:
    replace_emergency(database, '{"level": "panic", "phase": 4, "restored": 10.0}', at=NOON)

    assert database.cursor().execute("select squeezed from v_emergency").fetchone() == (0,)
