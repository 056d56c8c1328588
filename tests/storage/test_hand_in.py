"""Samples that another process hands in, while the owner runs and while it does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from policy.frames import SAMPLES
from storage.database import Database
from storage.errors import StorageError
from storage.hand_in import hand_in_samples
from storage.rollups import roll_up
from storage.samples import append_samples
from storage.serve import serving

SUSTAINED = timedelta(minutes=35)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LIMIT = "max_fetched_series_per_query"
TENANT = "o'brien\\(*)"


def samples(*values: float) -> pl.DataFrame:
    rows = [
        (NOON + timedelta(minutes=n), TENANT, LIMIT, value, 1.0) for n, value in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=SAMPLES, orient="row")


def clock() -> datetime:
    return NOON


def peaks(database: Database) -> list[tuple[object, ...]]:
    """What decisions are made from."""
    found = database.cursor().execute("select tenant, signal, max from demand_5m")
    return found.fetchall()


def test_they_become_history_and_are_rolled_up(tmp_path: Path) -> None:
    url = str(tmp_path / "history.duckdb")
    Database.open(url, clock=clock).close()

    hand_in_samples(url, samples(4, 9.5))

    with Database.open(url, clock=clock) as database:
        assert roll_up(database, now=NOON + timedelta(hours=1), sustained_for=SUSTAINED) == 1
        assert peaks(database) == [(TENANT, LIMIT, 9.5)]


def test_handing_them_in_again_adds_nothing(tmp_path: Path) -> None:
    url = str(tmp_path / "history.duckdb")
    with Database.open(url, clock=clock) as database:
        append_samples(database, samples(4))

    hand_in_samples(url, samples(4, 9))
    hand_in_samples(url, samples(4, 9))

    with Database.open(url, clock=clock) as database:
        counted = database.cursor().execute("select count(*) from samples").fetchone()
    assert counted == (2,)


def test_the_running_owner_takes_them(tmp_path: Path) -> None:
    url = str(tmp_path / "history.duckdb")
    with Database.open(url, clock=clock) as database, serving(database):
        hand_in_samples(url, samples(7))

        assert peaks(database) == [(TENANT, LIMIT, 7.0)]


def test_without_a_history_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        hand_in_samples(str(tmp_path / "history.duckdb"), samples(1))
