"""A history in memory and one in a file, and small frames to put into them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage.database import Database

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOON


@pytest.fixture
def database(now: datetime) -> Iterator[Database]:
    with Database.open(":memory:", clock=lambda: now) as opened:
        yield opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.duckdb"


@pytest.fixture
def owned(path: Path, now: datetime) -> Iterator[Database]:
    with Database.open(str(path), clock=lambda: now) as opened:
        yield opened
