"""A copy in the place of a history: whole or not at all, and the one before is kept."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import duckdb
import polars as pl
import pytest

from policy.frames import LAYERS, SAMPLES
from storage import whole_copy
from storage.audit import read_audit
from storage.copying import copy_history
from storage.database import Database
from storage.engine import connect
from storage.errors import StorageError
from storage.layers import read_layers, replace_layer
from storage.restoring import Restored, restore, restored_at
from storage.samples import append_samples
from tests.storage.older import BEFORE_11

ADD = "insert into tenants (tenant, first_seen, last_seen) values (?, now(), now())"
DIES = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from storage import restoring, whole_copy

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

path, copy, dies_at, at = sys.argv[1:]
for module in (restoring, whole_copy):
    if hasattr(module, dies_at):
        setattr(module, dies_at, die)
if dies_at == "replace":
    Path.replace = die
if dies_at == "link":
    os.link = die
restoring.restore(path, Path(copy), by="anna", reason=None, at=datetime.fromisoformat(at))
"""
STEPS = ("migrate", "run_script", "_set_aside", "link", "put_in_place", "to_the_disk", "replace")

Restore = Callable[[Path], Restored]


@pytest.fixture
def restored(path: Path, now: datetime) -> Restore:
    """Restore the history at `path` from a copy."""
    return lambda copy: restore(
        str(path), copy, by="anna", reason="the volume was lost", at=now, audit=True
    )


def remembers(path: Path, *tenants: str, now: datetime) -> Path:
    with Database.open(str(path), clock=lambda: now) as database:
        for tenant in tenants:
            database.cursor().execute(ADD, [tenant])
        sample = [[now, tenants[0], "ingestion_rate", 1.0, 1.0]]
        append_samples(database, pl.DataFrame(sample, schema=SAMPLES, orient="row"))
        for layer in ("optimized", "pin"):
            row = ("t1", "ingestion_rate", layer, "set", 5.0, "as it was", "{}", now, None)
            words = pl.DataFrame([row], schema=LAYERS, orient="row")
            replace_layer(database, layer, words, run_id="r")
    return path


def tenants_of(path: Path) -> list[str]:
    with connect(str(path), read_only=True) as connection:
        found = connection.execute("select tenant from tenants order by all").fetchall()
    return [tenant for (tenant,) in found]


@pytest.fixture
def copy(path: Path, now: datetime) -> Path:
    """A copy of a history that knows t1; the history has learned of t2 since."""
    remembers(path, "t1", now=now)
    copy = copy_history(str(path), target=path.with_name("copy.duckdb"))
    with Database.open(str(path), clock=lambda: now) as database:
        database.cursor().execute(ADD, ["t2"])
    return copy


def test_the_copy_is_in_place_and_what_was_there_is_kept(
    path: Path, copy: Path, now: datetime, restored: Restore
) -> None:
    before = copy.read_bytes()

    told = restored(copy)

    assert (tenants_of(path), tenants_of(told.kept or path)) == (["t1"], ["t1", "t2"])
    assert told.kept == path.with_name("history.before-restore-20260304T120000Z.duckdb")
    assert (told.newest_at, told.revisions, told.pins, told.holds) == (now, 0, 1, 0)
    assert copy.read_bytes() == before
    with Database.open(str(path), clock=lambda: now) as database:
        entry = read_audit(database, since=now - timedelta(hours=1)).row(0, named=True)
        assert restored_at(database) == now
    assert (entry["action"], entry["actor"]) == ("restore", "anna")
    assert json.loads(entry["details"]) == {"file": str(copy), "reason": "the volume was lost"}


def test_what_was_decided_then_is_left_out_and_what_people_said_is_not(
    path: Path, copy: Path, now: datetime, restored: Restore
) -> None:
    restored(copy)

    with Database.open(str(path), clock=lambda: now) as database:
        assert read_layers(database, now=now)["layer"].to_list() == ["pin"]


def test_a_lost_history_is_restored_where_there_is_nothing(
    path: Path, copy: Path, restored: Restore
) -> None:
    path.unlink()

    assert restored(copy).kept is None
    assert tenants_of(path) == ["t1"]


def test_a_damaged_history_is_replaced_and_kept_with_its_log(
    path: Path, copy: Path, restored: Restore
) -> None:
    """A log that stayed would be replayed on whatever file has that name."""
    path.write_bytes(path.read_bytes()[:5_000])
    log = path.with_name(f"{path.name}.wal")
    log.write_bytes(b"of the damaged one")

    kept = restored(copy).kept

    assert kept
    assert kept.with_name(f"{kept.name}.wal").read_bytes() == b"of the damaged one"
    assert not log.exists()
    assert tenants_of(path) == ["t1"]


def test_the_log_beside_a_copy_belongs_to_it(
    path: Path, tmp_path: Path, now: datetime, restored: Restore
) -> None:
    """As of a volume that was copied while the process ran or after it was killed."""
    copy = tmp_path / "elsewhere.duckdb"
    live = tmp_path / "live.duckdb"
    with Database.open(str(live), clock=lambda: now) as database:
        database.cursor().execute(ADD, ["only in the log"])
        shutil.copyfile(live, copy)
        shutil.copyfile(f"{live}.wal", f"{copy}.wal")

    restored(copy)

    assert tenants_of(path) == ["only in the log"]


def test_a_history_of_an_older_release_is_brought_up_to_date(
    path: Path, tmp_path: Path, now: datetime, restored: Restore
) -> None:
    older = remembers(tmp_path / "older.duckdb", "t1", now=now)
    with connect(str(older)) as connection:
        connection.execute(BEFORE_11)

    restored(older)

    with Database.open(str(path), clock=lambda: now) as database:
        assert restored_at(database) == now
    assert not list(tmp_path.glob("history.schema-*"))


def test_it_is_refused_while_a_process_runs(path: Path, copy: Path, now: datetime) -> None:
    with (
        Database.open(str(path), clock=lambda: now),
        pytest.raises(StorageError, match="in use by process"),
    ):
        restore(str(path), copy, by="anna", reason=None, at=now)

    assert tenants_of(path) == ["t1", "t2"]


def missing(copy: Path) -> None:
    copy.unlink()


def no_database(copy: Path) -> None:
    copy.write_text("the diary of a mad tenant\n" * 500)


def of_somebody_else(copy: Path) -> None:
    copy.unlink()
    with duckdb.connect(str(copy)) as connection:
        connection.execute("create table schema_migrations (version varchar)")
        connection.execute("insert into schema_migrations values ('20240101')")


def of_a_newer_release(copy: Path) -> None:
    with connect(str(copy)) as connection:
        connection.execute("insert into schema_migrations values (9999, 'later', now())")


def cut_off(copy: Path) -> None:
    copy.write_bytes(copy.read_bytes()[:-300_000])


def damaged_within(copy: Path) -> None:
    content = bytearray(copy.read_bytes())
    for block in range(12_288 + 100, len(content), 262_144):
        content[block : block + 8] = b"\xff" * 8
    copy.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (missing, "does not exist"),
        (no_database, "not a valid DuckDB"),
        (of_somebody_else, "no history of mlo"),
        (of_a_newer_release, "has schema 9999"),
        (cut_off, "cannot be restored"),
        (damaged_within, "cannot be restored"),
    ],
)
def test_what_cannot_be_a_history_of_ours_changes_nothing(
    path: Path, copy: Path, restored: Restore, harm: Callable[[Path], None], words: str
) -> None:
    before = path.read_bytes()
    harm(copy)

    with pytest.raises(StorageError, match=words) as refusal:
        restored(copy)

    assert "\n" not in str(refusal.value)
    assert path.read_bytes() == before
    assert not list(path.parent.glob("history.before-restore*"))
    assert not list(path.parent.glob("*.tmp*"))


def test_without_room_nothing_is_changed(
    path: Path, copy: Path, restored: Restore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_copy.shutil, "disk_usage", lambda _: SimpleNamespace(free=1))

    with pytest.raises(StorageError, match="free some space"):
        restored(copy)

    assert tenants_of(path) == ["t1", "t2"]


def test_the_history_is_not_restored_from_itself(path: Path, copy: Path, restored: Restore) -> None:
    with pytest.raises(StorageError, match="is the history itself"):
        restored(path)

    assert copy.exists()


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_there_is_a_whole_history_and_the_next_try_ends_it(
    path: Path, copy: Path, now: datetime, restored: Restore, step: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DIES, str(path), str(copy), step, now.isoformat()],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    then = tenants_of(path)
    for left in path.parent.glob("history.before-restore*"):
        assert tenants_of(left) == ["t1", "t2"]
        left.unlink()

    kept = restored(copy).kept

    assert done.returncode == -signal.SIGKILL
    assert then == ["t1", "t2"]
    assert tenants_of(path) == ["t1"]
    assert kept
    assert tenants_of(kept) == ["t1", "t2"]
