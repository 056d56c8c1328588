"""Copy a history that is in use: of one instant, whole, and nobody waits for it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import duckdb

from storage.client import query
from storage.engine import one_line, quoted, snapshot_of
from storage.errors import StorageError
from storage.whole_copy import partial_of, put_in_place, refuse_too_full, size_of

CURRENT: Final = "select current_database()"
ATTACH: Final = "attach '{partial}' as \"{name}\""
COPY: Final = 'copy from database "{source}" to "{name}"'
DETACH: Final = 'detach database if exists "{name}"'
NAME: Final = "snapshot_copy"


def copy_database(cursor: duckdb.DuckDBPyConnection, target: Path) -> None:
    """Copy the history of the cursor, which this process owns.

    Raises:
        StorageError: the target cannot be written; it stays as it is.
    """
    partial = partial_of(target)
    (source,) = cursor.execute(CURRENT).fetchone() or ("",)
    try:
        partial.unlink(missing_ok=True)
        cursor.execute(ATTACH.format(partial=quoted(partial), name=NAME))
        try:
            cursor.execute(COPY.format(source=source, name=NAME))
        except duckdb.Error:
            with suppress(duckdb.Error):  # else the cursor is of no use from now on
                cursor.rollback()
            raise
        finally:
            cursor.execute(DETACH.format(name=NAME))
        put_in_place(partial, target)
    except (OSError, duckdb.Error) as exc:
        partial.unlink(missing_ok=True)
        raise StorageError(f"{target} cannot be written: {one_line(str(exc))}") from exc


def copy_history(url: str, *, target: Path | None) -> Path:
    """Copy a history from any process, through its owner where there is one; say where the copy is.

    Args:
        url: `storage.url`, the path of the file.
        target: replaced when the copy is whole; None is the snapshot beside the file.

    Raises:
        StorageError: the history is elsewhere, there is none, or the target cannot be written; it
            stays as it is.
    """
    if url.startswith("quack:"):
        raise StorageError(
            f"storage.url {url} names the history of another process, perhaps of another machine; "
            "take the snapshot where the file is"
        )
    path = Path(url).absolute()
    target = (target or snapshot_of(path)).absolute()
    if target == path:
        raise StorageError(f"{target} is the history itself; name another file")
    source = query(url, CURRENT).item()
    refuse_too_full(target, needed_bytes=size_of(path))
    # The owner may copy at this moment too, and a process may have died here before.
    name = f"{NAME}_{os.getpid()}"
    partial = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    filled = {"partial": quoted(partial), "source": source, "name": name}
    script = "; ".join(statement.format(**filled) for statement in (ATTACH, COPY, DETACH))
    try:
        partial.unlink(missing_ok=True)
        _run(url, script, name=name)
        put_in_place(partial, target)
    except OSError as exc:
        raise StorageError(f"{target} cannot be written: {exc.strerror or exc}") from exc
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return target


def _run(url: str, script: str, *, name: str) -> None:
    try:
        query(url, script, write=True)
    except StorageError:
        with suppress(StorageError):  # else the owner would keep a file open that is gone
            query(url, DETACH.format(name=name), write=True)
        raise
