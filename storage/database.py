"""The one DuckDB file of the history, opened by the one process that owns it.

Threads share the file: each has its own cursor, and a reader never waits for a writer.
A second owner is refused, as is a file that this release cannot understand.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final, Self

import duckdb
import polars as pl

from policy.errors import Conflict
from storage.backup import back_up, forget_old
from storage.engine import connect, one_line
from storage.errors import StorageError, StorageUnavailable
from storage.lock import OwnerLock
from storage.migrate import migrate, outdated

MEMORY: Final = ":memory:"
INCOMING: Final = "incoming"  # the name under which a frame is visible to a statement
# Many small statements a minute: handing each to other threads costs a third of their CPU, and the
# few large ones end hardly sooner by it. Each flow asks in a thread of its own anyway.
ONE_THREAD: Final = "set global threads = 1"
# A commit that the disk refuses fails as one that lost against another thread does.
_OF_THE_DISK: Final = re.compile("Could not (?:write|f?sync|truncate)|No space left")


class Database:
    """An open history. `path` is None for a database in memory."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, *, path: Path | None, lock: OwnerLock | None
    ) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._new_cursor = threading.Lock()
        self._of_thread = threading.local()

    @classmethod
    def open(
        cls, url: str, *, clock: Callable[[], datetime], memory_limit: int | None = None
    ) -> Self:
        """Open the file `url` (or `:memory:`), create it if need be, migrate its schema.

        Of a history with an older schema a copy is kept (`storage.backup`). DuckDB holds at most
        `memory_limit` bytes of it; None: most of the machine's memory, as DuckDB does by itself.

        Raises:
            StorageError: in use, unreadable, or of a newer release, or no copy could be kept; the
                file stays as it is. Or a migration failed, and those before it stay.
        """
        if url.startswith("quack:"):
            raise StorageError(
                f"storage.url {url} names a served history; its owner needs the path of a file"
            )
        path = None if url == MEMORY else Path(url).absolute()
        lock = OwnerLock.acquire(path) if path else None
        try:
            connection = _up_to_date(path, clock=clock, memory_limit=memory_limit)
        except BaseException:
            if lock:
                lock.release()
            raise
        return cls(connection, path=path, lock=lock)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """This thread's own cursor; it lives as long as the thread."""
        cursor: duckdb.DuckDBPyConnection | None = getattr(self._of_thread, "cursor", None)
        if cursor is None:
            with self._new_cursor:
                cursor = self._connection.cursor()
            self._of_thread.cursor = cursor
        return cursor

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Keep all of the block or nothing of it; an inner block joins the outer one.

        Do not await inside: another coroutine of the thread would join the transaction.

        Raises:
            Conflict: another thread changed the same rows; nothing was kept.
            StorageUnavailable: the disk refused; nothing was kept.
        """
        cursor = self.cursor()
        if getattr(self._of_thread, "in_transaction", False):
            yield cursor
            return

        cursor.begin()
        self._of_thread.in_transaction = True
        try:
            yield cursor
            cursor.commit()
        except duckdb.TransactionException as exc:
            _undo(cursor)
            if _OF_THE_DISK.search(str(exc)):
                raise self._unwritable(exc) from exc
            raise Conflict(f"history: {one_line(str(exc))}; try again") from exc
        except duckdb.OutOfMemoryException as exc:
            _undo(cursor)
            raise out_of_memory(exc) from exc
        except duckdb.IOException as exc:
            _undo(cursor)
            raise self._unwritable(exc) from exc
        except BaseException:
            _undo(cursor)
            raise
        finally:
            self._of_thread.in_transaction = False

    def _unwritable(self, exc: duckdb.Error) -> StorageUnavailable:
        return StorageUnavailable(
            f"{self.path or MEMORY} cannot be written: {one_line(str(exc))}; free some space"
        )

    def problem(self) -> str | None:
        """Why nothing can be read or written; None: something can."""
        try:
            self.cursor().execute("select 1")
        except (duckdb.Error, StorageError) as exc:
            return f"the history is not open: {one_line(str(exc))}"
        return None

    def close(self) -> None:
        """Write everything to the file and give it back."""
        self._connection.close()
        if self._lock:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def write_frame(
    cursor: duckdb.DuckDBPyConnection,
    statement: str,
    frame: pl.DataFrame,
    *parameters: object,
    **named: object,
) -> None:
    """Run a statement that reads `frame` under the name `incoming`; it takes one kind of values."""
    cursor.register(INCOMING, frame)
    try:
        cursor.execute(statement, named or list(parameters))
    finally:
        cursor.unregister(INCOMING)


def read_frame(
    database: Database,
    statement: str,
    parameters: list[object] | dict[str, object] | None = None,
    *,
    schema: pl.Schema | None = None,
) -> pl.DataFrame:
    """The answer of a query as a frame, cast to `schema` when given.

    Raises:
        StorageUnavailable: it needs more memory than DuckDB may have.
    """
    try:
        answer = database.cursor().execute(statement, parameters).pl()
    except duckdb.OutOfMemoryException as exc:
        raise out_of_memory(exc) from exc
    return answer if schema is None else answer.select(schema.names()).cast(schema)


def out_of_memory(exc: duckdb.OutOfMemoryException) -> StorageUnavailable:
    """What is said when DuckDB needs more memory than it may have."""
    return StorageUnavailable(f"history: {one_line(str(exc))}; raise storage.memoryLimit")


def _up_to_date(
    path: Path | None, *, clock: Callable[[], datetime], memory_limit: int | None
) -> duckdb.DuckDBPyConnection:
    """Open the file, or a database in memory, with the newest schema."""
    connection = connect(str(path) if path else MEMORY, memory_limit=memory_limit)
    try:
        older = outdated(connection)
        if path and older is not None:
            _fold_log(connection, path)
            # Closed, because DuckDB's own lock goes with the first descriptor that is closed.
            connection.close()
            back_up(path, schema=older)
            connection = connect(str(path), memory_limit=memory_limit)
        if migrate(connection, clock=clock):
            connection.execute("checkpoint")  # DuckDB replays not every schema change
            if path and older is not None:
                forget_old(path)
        connection.execute(ONE_THREAD)
    except BaseException:
        connection.close()
        raise
    return connection


def _fold_log(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    try:
        connection.execute("checkpoint")
    except duckdb.Error as exc:
        raise StorageError(
            f"the history is not brought up to date: {path} cannot be written: "
            f"{one_line(str(exc))}; free some space"
        ) from exc


def _undo(cursor: duckdb.DuckDBPyConnection) -> None:
    # A failed commit or statement may have ended the transaction already.
    with suppress(duckdb.TransactionException):
        cursor.rollback()
