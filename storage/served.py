"""The history that another process owns, for flow runs outside of it: `quack:host:port`.

A session that is open on the owner would stay open for ever when its client dies, and with it the
rows that it changed. So none is: each request is whole. Within a transaction, what is to be
written is kept here and sent with its end, as one text; a question in between is sent behind what
is to be written by then, and nothing of that is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Self, cast

import duckdb
from polars import DataFrame as Frame

from policy.errors import Conflict
from storage.client import READING, Server, no_answer, nobody_listens, served_at, told
from storage.database import Database
from storage.engine import connect, one_line
from storage.errors import StorageError
from storage.literals import frame_as, with_parameters
from storage.migrate import known_migrations

NEWEST_SCHEMA: Final = "select max(version) from schema_migrations"
CONFLICTS: Final = ("conflict", "failed to commit")


class ServedHistory(Database):
    """A history over there, with as much of `Database` as flows use that may run anywhere."""

    def __init__(self, server: Server) -> None:
        """Nothing is asked yet."""
        super().__init__(connect(":memory:"), path=None, lock=None)
        self.server = server

    @classmethod
    def reach(cls, url: str) -> Self:
        """Reach the history at `quack:host:port`, with the token that the environment has.

        Raises:
            StorageError: it does not answer, refuses the token, or is of another release.
        """
        found = cls(served_at(url))
        (theirs,) = found.cursor().execute(NEWEST_SCHEMA).fetchone() or (None,)
        ours = known_migrations()[-1].version
        if theirs != ours:
            found.close()
            raise StorageError(
                f"{url} has schema {theirs} and this release knows {ours}; run the same release "
                "here as there"
            )
        return found

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """This thread's own; it can do of a DuckDB cursor what `_Cursor` has."""
        return cast("duckdb.DuckDBPyConnection", self._cursor())

    def _cursor(self) -> _Cursor:
        cursor: _Cursor | None = getattr(self._of_thread, "cursor", None)
        if cursor is None:
            cursor = self._of_thread.cursor = _Cursor(self.server)
        return cursor

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Keep all of the block or nothing of it; an inner block joins the outer one.

        Raises:
            Conflict: another process or thread changed the same rows; nothing was kept.
            StorageError: the owner refused, or does not answer any more; nothing was kept, unless
                it was the answer alone that got lost.
        """
        cursor = self._cursor()
        if cursor.waiting is not None:
            yield self.cursor()
            return
        statements: list[str] = []
        cursor.waiting = statements
        try:
            yield self.cursor()
        finally:
            cursor.waiting = None
        if statements:
            cursor.send(["begin", *statements, "commit"])

    def problem(self) -> str | None:
        """Why nothing can be read or written; None: something can."""
        try:
            self.cursor().execute("select 1")
        except StorageError as exc:
            return str(exc)
        return None


class _Cursor:
    """Asks the owner; `waiting` is what the transaction of this thread is to write, if one is."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.waiting: list[str] | None = None
        self._frames: dict[str, Frame] = {}
        self._answer: Frame | None = None
        self._rows: Iterator[tuple[object, ...]] = iter(())

    def register(self, name: str, frame: Frame) -> None:
        """Let the statements to come read the frame under that name."""
        self._frames[name] = frame

    def unregister(self, name: str) -> None:
        """Forget the frame."""
        del self._frames[name]

    def execute(
        self, sql: str, parameters: Sequence[object] | Mapping[str, object] | None = None
    ) -> Self:
        """Ask; what writes within a transaction is noted, and answers nothing."""
        needed = [part for name, frame in self._frames.items() for part in frame_as(name, frame)]
        asked = with_parameters(sql, parameters)
        if self.waiting is None:
            self._answer = self.send([*needed, asked])
        elif all(each.type in READING for each in duckdb.extract_statements(sql)):
            self._answer = self.send(["begin", *self.waiting, *needed, asked])
        else:
            self.waiting += [*needed, asked]
            self._answer = None
        self._rows = iter(()) if self._answer is None else self._answer.iter_rows()
        return self

    def pl(self) -> Frame:
        """The answer as a frame."""
        if self._answer is None:
            raise RuntimeError("what a transaction writes answers nothing in a served history")
        return self._answer

    @property
    def description(self) -> list[tuple[str]]:
        """The names of the columns of the answer."""
        return [(name,) for name in self.pl().columns]

    def fetchone(self) -> tuple[object, ...] | None:
        """The next row of the answer; None after the last."""
        self.pl()
        return next(self._rows, None)

    def fetchall(self) -> list[tuple[object, ...]]:
        """What is left of the answer."""
        self.pl()
        return list(self._rows)

    def send(self, statements: Sequence[str]) -> Frame:
        """The owner's answer to the last of the statements."""
        try:
            return told(self.server, ";\n".join(statements))
        except duckdb.Error as exc:
            if nobody_listens(exc):
                raise no_answer(self.server) from exc
            line = one_line(str(exc))
            if any(words in line.lower() for words in CONFLICTS):
                raise Conflict(f"history: {line}; try again") from exc
            raise StorageError(f"the history at {self.server.address}: {line}") from exc
