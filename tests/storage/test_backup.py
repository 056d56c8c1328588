"""A history is brought up to date only where a copy of it as it was could be kept."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from storage import migrate, whole_copy
from storage.database import Database
from storage.engine import connect
from storage.errors import StorageError
from storage.migrate import Migration, known_migrations

NEWEST = known_migrations()[-1].version
ADD_TENANT = "insert into tenants (tenant, first_seen, last_seen) values (?, now(), now())"
TENANTS = "select tenant from tenants order by all"
NEWER_RELEASE = f"""
import os, signal, sys
from datetime import UTC, datetime
from storage import migrate, whole_copy
from storage.database import Database
from storage.migrate import Migration, known_migrations

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

path, dies_at = sys.argv[1:]
added = [
    Migration(version={NEWEST} + n, name="later", statements=f"create table later_{{n}} (a int)")
    for n in (1, 2)
]
release = [*known_migrations(), *added]
migrate.known_migrations = lambda: release
if dies_at == "migration":
    apply = migrate._apply
    migrate._apply = lambda c, m, at: die() if m is added[1] else apply(c, m, at)
elif dies_at:
    setattr(whole_copy if dies_at.startswith("to_") else whole_copy.shutil, dies_at, die)
Database.open(path, clock=lambda: datetime.now(UTC)).close()
"""

Release = Callable[..., None]


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Release:
    """Make this process a newer release, with these migrations beyond the newest."""

    def become(*statements: str) -> None:
        added = [
            Migration(version=NEWEST + number, name="later", statements=statement)
            for number, statement in enumerate(statements, start=1)
        ]
        newer = [*known_migrations(), *added]
        monkeypatch.setattr(migrate, "known_migrations", lambda: newer)

    return become


@pytest.fixture
def clock(now: datetime) -> Callable[[], datetime]:
    return lambda: now


def remembers(path: Path, *tenants: str, clock: Callable[[], datetime]) -> None:
    with Database.open(str(path), clock=clock) as database, database.transaction() as cursor:
        for tenant in tenants:
            cursor.execute(ADD_TENANT, [tenant])


def tenants_of(path: Path) -> list[str]:
    with connect(str(path), read_only=True) as connection:
        return [tenant for (tenant,) in connection.execute(TENANTS).fetchall()]


def schema_of(path: Path) -> int:
    with connect(str(path), read_only=True) as connection:
        return max(migrate.applied_versions(connection))


def files(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if not each.name.endswith(".lock"))


def copy_name(schema: int) -> str:
    return f"history.schema-{schema}.duckdb"


def test_a_first_start_and_one_that_changes_nothing_keep_no_copy(
    path: Path, clock: Callable[[], datetime]
) -> None:
    remembers(path, "t1", clock=clock)
    remembers(path, "t2", clock=clock)

    assert files(path.parent) == [path.name]


def test_what_was_there_before_an_upgrade_is_kept_with_what_only_the_log_had(
    path: Path,
    clock: Callable[[], datetime],
    release: Release,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The process before was killed: its newest row is in the write-ahead log alone."""
    killed = path.with_name("killed.duckdb")
    with Database.open(str(killed), clock=clock) as database:
        database.cursor().execute(ADD_TENANT, ["t1"])
        shutil.copyfile(killed, path)
        shutil.copyfile(f"{killed}.wal", f"{path}.wal")

    release("alter table tenants rename column first_seen to seen_first")
    Database.open(str(path), clock=clock).close()

    kept = path.with_name(copy_name(NEWEST))
    assert (tenants_of(kept), schema_of(kept)) == (["t1"], NEWEST)
    assert (tenants_of(path), schema_of(path)) == (["t1"], NEWEST + 1)
    assert f"has schema {NEWEST}" in caplog.text
    assert str(kept) in caplog.text


def test_without_room_for_the_copy_nothing_is_changed(
    path: Path,
    clock: Callable[[], datetime],
    release: Release,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remembers(path, "t1", clock=clock)
    before = path.read_bytes()
    release("drop table tenants")
    monkeypatch.setattr(whole_copy.shutil, "disk_usage", lambda _: SimpleNamespace(free=4_096))

    with pytest.raises(StorageError) as refusal:
        Database.open(str(path), clock=clock)

    assert "is not brought up to date" in str(refusal.value)
    assert "4.0 KiB are free; free some space" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert path.read_bytes() == before
    assert files(path.parent) == [path.name]


@pytest.mark.parametrize("refusing", ["fsync", "replace"])
def test_a_copy_that_the_disk_refuses_changes_nothing_and_leaves_nothing(
    path: Path,
    clock: Callable[[], datetime],
    release: Release,
    monkeypatch: pytest.MonkeyPatch,
    refusing: str,
) -> None:
    remembers(path, "t1", clock=clock)
    before = path.read_bytes()
    release("drop table tenants")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(whole_copy.os if refusing == "fsync" else Path, refusing, refuse)
    with pytest.raises(StorageError, match="No space left on device"):
        Database.open(str(path), clock=clock)

    assert path.read_bytes() == before
    assert files(path.parent) == [path.name]


def test_a_migration_that_fails_at_every_start_loses_no_earlier_copy(
    path: Path, clock: Callable[[], datetime], release: Release
) -> None:
    """Whatever keeps starting us: what was there before the first of the migrations stays."""
    remembers(path, "t1", clock=clock)
    release("delete from tenants", "drop table no_such_table")

    for _ in range(4):
        with pytest.raises(StorageError, match=rf"could not be brought to schema {NEWEST + 2} "):
            Database.open(str(path), clock=clock)

    assert tenants_of(path.with_name(copy_name(NEWEST))) == ["t1"]
    assert files(path.parent) == [path.name, copy_name(NEWEST), copy_name(NEWEST + 1)]
    assert schema_of(path) == NEWEST + 1


def test_the_newest_two_copies_are_kept(
    path: Path, clock: Callable[[], datetime], release: Release
) -> None:
    remembers(path, "t1", clock=clock)
    statements = [f"create table later_{number} (a integer)" for number in range(3)]

    for upto in (1, 2, 3):
        release(*statements[:upto])
        Database.open(str(path), clock=clock).close()

    assert files(path.parent) == [path.name, copy_name(NEWEST + 1), copy_name(NEWEST + 2)]


@pytest.mark.parametrize("dies_at", ["copyfile", "to_the_disk", "migration"])
def test_killed_in_an_upgrade_the_next_start_ends_it(
    path: Path, clock: Callable[[], datetime], dies_at: str
) -> None:
    remembers(path, "t1", clock=clock)

    assert newer_release(path, dies_at=dies_at) == -signal.SIGKILL
    assert newer_release(path) == 0

    assert (tenants_of(path), schema_of(path)) == (["t1"], NEWEST + 2)
    kept = path.with_name(copy_name(NEWEST))
    assert (tenants_of(kept), schema_of(kept)) == (["t1"], NEWEST)
    assert not [name for name in files(path.parent) if name.endswith(".tmp")]


def newer_release(path: Path, *, dies_at: str = "") -> int:
    """The exit code of a process of the next release that opens the history."""
    return subprocess.run(
        [sys.executable, "-c", NEWER_RELEASE, str(path), dies_at],
        cwd=Path(__file__).parents[2],
        check=False,
    ).returncode
