"""Put a copy in the place of a history, whole or not at all; the one before is kept beside it.

A copy is older than what is published. So what it had decided is left out: the limits that stand
are read back, and nothing is lowered to what was right then. What people had said, pins and holds,
is in force again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import duckdb

from storage.audit import NOTE
from storage.database import Database
from storage.engine import connect, one_line
from storage.errors import StorageError
from storage.lock import OwnerLock
from storage.migrate import applied_versions, migrate, refuse_newer
from storage.script import run_script
from storage.whole_copy import (
    log_of,
    partial_of,
    put_in_place,
    refuse_too_full,
    size_of,
    to_the_disk,
)

OURS: Final = {"samples", "layers", "revisions", "audit", "watermarks"}
TABLES: Final = """
    select table_name from duckdb_tables()
    where database_name = current_database() and not internal
"""
# Reads every column of every row, so that a damaged block shows.
READ_ALL: Final = 'select bit_xor(hash(each)) from "{table}" as each'
LEAVE_OUT: Final = "delete from layers where layer = 'optimized'"
MARK: Final = "insert or replace into watermarks values ('restored', {at}::timestamptz)"
RESTORED_AT: Final = "select \"at\" from watermarks where name = 'restored'"
WHAT_IT_HAS: Final = """
    select
        (select max("at") from (select "at" from samples union all select "at" from rollups_5m)),
        (select count(*) from revisions),
        (
            select count(*) from layers
            where layer = 'pin' and (expires_at is null or expires_at > $at)
        ),
        (select count(*) from holds where until is null or until > $at)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was put in place.

    Attributes:
        path: of the history.
        kept: where the one before it is; None where there was none.
        newest_at: of its newest sample; None where it has none.
        revisions: how many it knows.
        pins: of then, in force again.
        holds: likewise.
        size_bytes: of the file.
    """

    path: Path
    kept: Path | None
    newest_at: datetime | None
    revisions: int
    pins: int
    holds: int
    size_bytes: int


def restore(
    url: str, source: Path, *, by: str, reason: str | None, at: datetime, audit: bool = True
) -> Restored:
    """Put a copy of a history in the place of the one at `url`.

    Args:
        url: `storage.url`, the path of the file.
        source: the copy; it stays as it is.
        by: who says so.
        reason: why, if that was said.
        at: now, aware UTC.
        audit: whether it is an audit entry.

    Raises:
        StorageError: a process runs, the copy is none of ours, newer than this release, in use or
            damaged, or there is no room; the history stays as it is.
    """
    if url.startswith("quack:"):
        raise StorageError(
            f"storage.url {url} names the history of another process; restore where its file is"
        )
    path, source = Path(url).absolute(), source.absolute()
    if source == path:
        raise StorageError(f"{source} is the history itself; name a copy")
    lock = OwnerLock.acquire(path)
    try:
        refuse_unfit(source)
        with _copied(source, beside=path) as copy:
            newest_at, revisions, pins, holds = _prepared(
                copy, source=source, by=by, reason=reason, at=at, audit=audit
            )
            kept = _set_aside(path, at=at)
            put_in_place(copy, path)
        return Restored(
            path=path,
            kept=kept,
            newest_at=newest_at,
            revisions=revisions,
            pins=pins,
            holds=holds,
            size_bytes=path.stat().st_size,
        )
    except OSError as exc:
        raise StorageError(f"{path} cannot be written: {exc.strerror or exc}") from exc
    finally:
        lock.release()


def restored_at(database: Database) -> datetime | None:
    """When this history was put in the place of another; None: it never was."""
    row = database.cursor().execute(RESTORED_AT).fetchone()
    return None if row is None else row[0]


def refuse_unfit(source: Path) -> None:
    """Refuse a file that is no history which this release can read.

    Raises:
        StorageError: it is one, or is in use.
    """
    if not source.is_file():
        raise StorageError(f"{source} does not exist; `mlo snapshot` makes a copy")
    try:
        connection = connect(str(source), read_only=True)
    except StorageError as refusal:
        said = one_line(str(refusal.__cause__ or refusal))
        raise StorageError(f"{source} cannot be restored: {said}") from refusal
    with connection:
        tables = {name for (name,) in connection.execute(TABLES).fetchall()}
        if not tables >= OURS:
            raise StorageError(f"{source} is a DuckDB file, and no history of mlo; name a copy")
        refuse_newer(applied_versions(connection))


@contextmanager
def _copied(source: Path, *, beside: Path) -> Iterator[Path]:
    """A copy beside the history, with its write-ahead log; gone at the end if it is still there."""
    copy = partial_of(beside)
    refuse_too_full(beside, needed_bytes=size_of(source))
    _forget(copy)
    try:
        shutil.copyfile(source, copy)
        if log_of(source).exists():
            shutil.copyfile(log_of(source), log_of(copy))
        yield copy
    finally:
        _forget(copy)


def _prepared(
    copy: Path, *, source: Path, by: str, reason: str | None, at: datetime, audit: bool
) -> tuple[datetime | None, int, int, int]:
    """Read all of the copy, bring it up to date, and note in it where it comes from."""
    details = json.dumps({"file": str(source), "reason": reason}, ensure_ascii=False)
    told = {
        "at": at.isoformat(),
        "actor": by,
        "action": "restore",
        "tenant": None,
        "category": "user",
        "component": "storage",
        "details": details,
    }
    with _named(source), connect(str(copy)) as connection:
        for (table,) in connection.execute(TABLES).fetchall():
            connection.execute(READ_ALL.format(table=table))
        migrate(connection, clock=lambda: at)
        database = Database(connection, path=None, lock=None)
        run_script(database, [LEAVE_OUT, MARK, *([NOTE] if audit else [])], told=told)
        found = connection.execute(WHAT_IT_HAS, {"at": at}).fetchall()
        connection.execute("checkpoint")
    if log_of(copy).exists():
        raise StorageError(f"{source} cannot be restored: its write-ahead log cannot be folded in")
    return found[0]


@contextmanager
def _named(source: Path) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as exc:
        raise StorageError(f"{source} cannot be restored: {one_line(str(exc))}") from exc


def _set_aside(path: Path, *, at: datetime) -> Path | None:
    """Keep the history of now under another name, too; there is one at `path` at any moment."""
    if not path.exists():
        log_of(path).unlink(missing_ok=True)
        return None
    # Its log must not meet another file: DuckDB would replay it there. One that cannot be opened
    # keeps its log, under the other name.
    with suppress(StorageError, duckdb.Error), connect(str(path)) as connection:
        connection.execute("checkpoint")
    kept = path.with_name(f"{path.stem}.before-restore-{at:%Y%m%dT%H%M%SZ}{path.suffix}")
    for present, place in ((log_of(path), log_of(kept)), (path, kept)):
        if present.exists():
            _link(present, place)
    to_the_disk(path.parent)
    log_of(path).unlink(missing_ok=True)
    return kept


def _link(present: Path, place: Path) -> None:
    try:
        os.link(present, place)
    except FileExistsError:
        raise
    except OSError:  # not every file system has links
        shutil.copyfile(present, place)
        to_the_disk(place)


def _forget(copy: Path) -> None:
    for each in (copy, log_of(copy)):
        each.unlink(missing_ok=True)
