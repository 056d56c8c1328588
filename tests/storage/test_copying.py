"""A copy of the history, through whoever owns it, and what a refused one leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from storage import copying, whole_copy
from storage.copying import copy_history
from storage.database import Database
from storage.engine import connect
from storage.errors import StorageError
from storage.maintenance import snapshot
from storage.serve import serving

ADD = "insert into tenants (tenant, first_seen, last_seen) values (?, now(), now())"
ATTACHED = "select database_name from duckdb_databases() where not internal"


@pytest.fixture
def served(owned: Database) -> Iterator[Database]:
    """A running process; what it wrote last is in its write-ahead log."""
    owned.cursor().execute(ADD, ["t1"])
    with serving(owned):
        yield owned


def tenants_of(copy: Path) -> list[str]:
    with connect(str(copy), read_only=True) as connection:
        return [tenant for (tenant,) in connection.execute("select tenant from tenants").fetchall()]


def in_the_middle_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "COPY", 'copy from database no_such_one to "{name}" /*{source}*/')


def test_a_running_process_makes_the_copy_and_goes_on(
    served: Database, path: Path, tmp_path: Path
) -> None:
    target = copy_history(str(path), target=tmp_path / "it's a copy.duckdb")

    served.cursor().execute(ADD, ["t2"])
    assert tenants_of(target) == ["t1"]
    assert served.cursor().execute(ATTACHED).fetchall() == [("history",)]
    assert not list(tmp_path.glob("*.tmp*"))


def test_the_file_itself_is_copied_where_no_process_runs(path: Path, now: datetime) -> None:
    with Database.open(str(path), clock=lambda: now) as database:
        database.cursor().execute(ADD, ["t1"])

    first = copy_history(str(path), target=None)
    again = copy_history(str(path), target=None)

    assert first == again == path.with_name("history.ro.duckdb")
    assert tenants_of(first) == ["t1"]


def test_a_process_that_owns_the_history_and_does_not_serve_it_yet_is_named(
    owned: Database, path: Path, tmp_path: Path
) -> None:
    asked = "import sys; from storage.copying import *; copy_history(sys.argv[1], target=None)"

    answer = subprocess.run(
        [sys.executable, "-c", asked, str(path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    assert owned.problem() is None
    assert f"in use by process {os.getpid()}" in answer.stderr
    assert not list(tmp_path.glob("*.ro.*"))


def test_a_copy_that_fails_in_the_middle_leaves_the_one_before_and_a_process_that_works(
    served: Database, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = copy_history(str(path), target=tmp_path / "copy.duckdb")
    before = target.read_bytes()
    in_the_middle_fails(monkeypatch)

    with pytest.raises(StorageError, match="no_such_one"):
        copy_history(str(path), target=target)

    assert target.read_bytes() == before
    assert served.cursor().execute(ATTACHED).fetchall() == [("history",)]
    assert not list(tmp_path.glob("*.tmp*"))


def test_the_thread_of_a_snapshot_that_failed_can_still_use_the_history(
    owned: Database, tmp_path: Path
) -> None:
    """As on a disk that is full: DuckDB leaves the cursor in a transaction that is aborted."""

    class Full:
        def __init__(self) -> None:
            self._cursor = owned.cursor()

        def execute(self, statement: str) -> object:
            if statement.startswith("copy"):
                self._cursor.begin()
                return self._cursor.execute("select error('No space left on device')").fetchall()
            return self._cursor.execute(statement)

        def __getattr__(self, name: str) -> object:
            return getattr(self._cursor, name)

    with pytest.raises(StorageError, match="No space left"):
        copying.copy_database(Full(), tmp_path / "copy.duckdb")  # type: ignore[arg-type]

    assert owned.problem() is None
    assert snapshot(owned).is_file()


@pytest.mark.parametrize("name", ["history.duckdb", "./history.duckdb"])
def test_the_history_is_never_its_own_copy(
    path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    Database.open(str(path), clock=lambda: now).close()
    monkeypatch.chdir(path.parent)

    with pytest.raises(StorageError, match="is the history itself"):
        copy_history(str(path), target=Path(name))


def test_what_cannot_be_written_is_told_before_anything_is_begun(
    path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Database.open(str(path), clock=lambda: now).close()

    with pytest.raises(StorageError, match="No such file or directory"):
        copy_history(str(path), target=tmp_path / "missing" / "copy.duckdb")
    monkeypatch.setattr(whole_copy.shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(StorageError, match="free some space"):
        copy_history(str(path), target=tmp_path / "copy.duckdb")

    assert not list(tmp_path.glob("copy*"))


def test_the_history_of_another_machine_is_copied_there() -> None:
    with pytest.raises(StorageError, match="where the file is"):
        copy_history("quack:10.0.0.1:9494", target=None)
