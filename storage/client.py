"""Ask the history a question in SQL, from any process.

The running owner is asked when there is one; without one the file is opened read-only.
Only reading is allowed unless the caller says `write`: the statements are looked at first,
and then run where nothing can be written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import duckdb
import polars as pl

from storage.engine import connect, load_quack, one_line
from storage.errors import StorageError
from storage.lock import OwnerLock
from storage.serve import serving_file

TOKEN_VARIABLE: Final = "MLO_STORAGE_TOKEN"  # noqa: S105 - the name of the variable
TLS_VARIABLE: Final = "MLO_STORAGE_TLS"
READING: Final = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
ASK_SERVER: Final = "select * from quack_query(?, ?, token = ?{plain})"
PLAIN: Final = ", disable_ssl = true"
READ_ONLY: Final = "begin transaction read only; "
NO_SERVER: Final = ("Could not connect to server", "SSL connect error", "Could not resolve host")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Server:
    """How to reach the owner of a history; `plain`: without TLS, wherever it is."""

    address: str
    token: str
    plain: bool = False


def query(
    url: str, sql: str, *, write: bool = False, environ: Mapping[str, str] = os.environ
) -> pl.DataFrame:
    """The answer to `sql`; of several statements, that of the last one.

    `url` is the path of the file, or `quack:host:port` with the token in MLO_STORAGE_TOKEN.

    Raises:
        StorageError: the SQL is wrong or would write, or the history cannot be reached.
    """
    check_statements(sql, write=write)
    if url.startswith("quack:"):
        served = served_at(url, environ=environ)
        answer = _ask(served, sql, write=write)
        if answer is None:
            raise no_answer(served)
        return answer

    path = Path(url).absolute()
    server = running_server(path)
    answer = _ask(server, sql, write=write) if server else None
    return _open_and_run(path, sql, write=write) if answer is None else answer


def served_at(url: str, *, environ: Mapping[str, str] = os.environ) -> Server:
    """How to reach the history at `quack:host:port`, by the environment.

    Raises:
        StorageError: it has no token.
    """
    token = environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise StorageError(f"{url} asks for a token; set {TOKEN_VARIABLE}")
    return Server(address=url, token=token, plain=environ.get(TLS_VARIABLE, "").lower() == "off")


def no_answer(server: Server) -> StorageError:
    """What to say when nobody listens there."""
    hint = "" if server.plain else f" (where it speaks no TLS, set {TLS_VARIABLE}=off)"
    return StorageError(
        f"{server.address} does not answer; is mlo up, and storage.url right?{hint}"
    )


def check_statements(sql: str, *, write: bool = False) -> None:
    """Refuse what is not SQL, is empty, or would write without `write`.

    Raises:
        StorageError: with the reason in one line.
    """
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as exc:
        raise StorageError(f"SQL: {one_line(str(exc))}") from exc
    if not statements:
        raise StorageError("SQL: there is no statement")

    writing = [statement for statement in statements if statement.type not in READING]
    if writing and not write:
        raise StorageError(
            f"SQL: {writing[0].type.name} would change something, and only reading is allowed "
            "here; ask for writing if that is meant"
        )


def running_server(path: Path) -> Server | None:
    """How to reach the process that owns the file; None when there is no such process.

    Raises:
        StorageError: the notice is there and may not be read by this user.
    """
    notice = serving_file(path)
    try:
        said = json.loads(notice.read_text(encoding="utf-8"))
        os.kill(said["pid"], 0)
    except PermissionError as exc:
        raise StorageError(f"{notice} belongs to another user; run as the owner") from exc
    except (FileNotFoundError, ProcessLookupError, ValueError, KeyError):
        return None
    return Server(address=said["address"], token=said["token"])


def _ask(server: Server, sql: str, *, write: bool) -> pl.DataFrame | None:
    """The server's answer; None when nobody listens there."""
    try:
        return told(server, sql if write else READ_ONLY + sql)
    except duckdb.Error as exc:
        if nobody_listens(exc):
            return None
        raise StorageError(f"SQL: {one_line(str(exc))}") from exc


def told(server: Server, sql: str) -> pl.DataFrame:
    """The server's answer to the last of the statements, which are a session of their own.

    What they leave uncommitted is not kept, whatever ends them.

    Raises:
        duckdb.Error: as the server says, or nobody listens there.
    """
    asking = ASK_SERVER.format(plain=PLAIN if server.plain else "")
    with _speaking_quack().cursor() as connection:
        return _frame(connection.execute(asking, [server.address, sql, server.token]))


def _frame(answer: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """The answer; an interval, which polars does not know, is a duration, its months of 30 days."""
    columns = [(name, str(kind)) for name, kind, *_ in answer.description or ()]
    if not any("INTERVAL" in kind for _, kind in columns):
        return answer.pl()
    names = [name for name, _ in columns]
    return pl.DataFrame(answer.fetchall(), schema=names, orient="row", infer_schema_length=None)


def nobody_listens(exc: duckdb.Error) -> bool:
    """Whether the request did not reach a server."""
    return any(reason in str(exc) for reason in NO_SERVER)


@cache
def _speaking_quack() -> duckdb.DuckDBPyConnection:
    """Made once: to load the extension takes longer than most questions."""
    connection = connect(":memory:")
    load_quack(connection)
    return connection


def _open_and_run(path: Path, sql: str, *, write: bool) -> pl.DataFrame:
    if not path.exists():
        raise StorageError(f"{path} does not exist; has mlo run yet, and is storage.url right?")
    lock = OwnerLock.acquire(path) if write else None
    try:
        with connect(str(path), read_only=not write) as connection:
            try:
                answer = connection.execute(sql)
                return _frame(answer) if answer.description else pl.DataFrame()
            except duckdb.Error as exc:
                raise StorageError(f"SQL: {one_line(str(exc))}") from exc
    finally:
        if lock:
            lock.release()
