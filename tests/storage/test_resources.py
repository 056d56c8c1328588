"""Who the ingesters were: seen from the looks that are stored."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from policy.resources import RESOURCES, UP
from storage.database import Database
from storage.resources import append_resources, ingesters_changed_at

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def look(database: Database, at: datetime, ingesters: int, distributors: int = 2) -> None:
    pods = [f"ingester-{n}" for n in range(ingesters)]
    pods += [f"distributor-{n}" for n in range(distributors)]
    rows = [(pod, pod.split("-")[0], UP, 1.0, None) for pod in pods]
    append_resources(database, pl.DataFrame(rows, schema=RESOURCES, orient="row"), at=at)


def looks(database: Database, now: datetime, *counts: int, every: timedelta) -> None:
    """So many ingesters in each look, the newest one last and now."""
    for back, ingesters in enumerate(reversed(counts)):
        look(database, now - back * every, ingesters)


@pytest.mark.parametrize(
    ("counts", "hours_ago"),
    [
        pytest.param((3,) * 12, None, id="the same all the time"),
        pytest.param((3,) * 8 + (4,) * 4, 2, id="one more"),
        pytest.param((4,) * 8 + (3,) * 4, 2, id="one less"),
        pytest.param((4,) * 4 + (3,) * 4 + (5,) * 4, 2, id="the newest of two changes"),
        pytest.param((3, 3, 3, 2, 3, 3, 2, 3, 3, 3), None, id="restarts"),
    ],
)
def test_the_ring_changed_when_another_number_of_ingesters_was_known_for_an_hour(
    database: Database, now: datetime, counts: tuple[int, ...], hours_ago: int | None
) -> None:
    looks(database, now, *counts, every=HOUR / 2)

    found = ingesters_changed_at(database, now=now, within=DAY)

    if hours_ago is None:
        assert found is None
    else:
        assert found is not None
        assert timedelta(0) <= now - found <= hours_ago * HOUR


def test_distributors_come_and_go_without_a_change_of_the_ring(
    database: Database, now: datetime
) -> None:
    look(database, now - 2 * HOUR, 3, distributors=2)
    look(database, now, 3, distributors=8)

    assert ingesters_changed_at(database, now=now, within=DAY) is None


def test_a_change_before_the_time_looked_back_is_forgotten(
    database: Database, now: datetime
) -> None:
    looks(database, now, 3, *(4,) * 30, every=HOUR)

    assert ingesters_changed_at(database, now=now, within=DAY) is None
    assert ingesters_changed_at(database, now=now, within=40 * HOUR) is not None


def test_without_any_look_nothing_is_known_to_have_changed(
    database: Database, now: datetime
) -> None:
    assert ingesters_changed_at(database, now=now, within=DAY) is None
