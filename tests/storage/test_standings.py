"""How every limit stood at the newest run, and only then."""

from __future__ import annotations

from polars.testing import assert_frame_equal

from storage.database import Database
from storage.standings import read_standings, replace_standings
from tests.policy.stood import standing, standings_of


def test_the_newest_run_takes_the_place_of_the_one_before(database: Database) -> None:
    replace_standings(database, standings_of(standing("gone"), standing("a", value=1.0)))
    newest = standings_of(standing("a", value=2.0), standing("b"))

    replace_standings(database, newest)

    assert_frame_equal(read_standings(database), newest)


def test_a_run_that_judged_nothing_leaves_nothing(database: Database) -> None:
    replace_standings(database, standings_of(standing("a")))

    replace_standings(database, standings_of())

    assert read_standings(database).is_empty()
