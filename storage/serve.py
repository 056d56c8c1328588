"""Serve the open history to other processes, through Quack.

To those of this machine on a loopback port, with a random token: address and token are left in
`<file>.serving`, which only the owner of the file may read. To those of other machines where the
settings say so, with the token of the environment.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import duckdb

from storage.database import Database
from storage.engine import load_quack
from storage.errors import StorageError

ATTEMPTS: Final = 5
START_SERVING: Final = "call quack_serve(?, token = ?)"
START_SERVING_ALL: Final = (
    "call quack_serve(?, token = ?, allow_other_hostname = true, disable_ssl = true)"
)
STOP_SERVING: Final = "call quack_stop(?)"
LEAST_TOKEN: Final = 16


def serving_file(path: Path) -> Path:
    """Where the owner of the database file `path` says how to reach it."""
    return path.with_name(f"{path.name}.serving")


@contextmanager
def serving(database: Database) -> Iterator[str]:
    """Serve the history while the block lasts; gives the address, `quack:127.0.0.1:PORT`.

    Raises:
        StorageError: no port could be had, or the extension is not installed.
    """
    if database.path is None:
        raise StorageError("a database in memory cannot be served; give storage.url a path")
    token = secrets.token_urlsafe(32)
    load_quack(database.cursor())
    address = _listen(database.cursor(), token)
    notice = serving_file(database.path)
    try:
        _write_private(notice, {"address": address, "token": token, "pid": os.getpid()})
        yield address
    finally:
        notice.unlink(missing_ok=True)
        with suppress(duckdb.Error):  # closing the database stops the server as well
            database.cursor().execute(STOP_SERVING, [address])


@contextmanager
def serving_others(database: Database, *, listen: str, token: str) -> Iterator[None]:
    """Serve the history to other machines while the block lasts, in plain text.

    Args:
        database: the open history; `serving` it has loaded what speaks to them.
        listen: `host:port` of this machine.
        token: who has it may read and write whatever this process may.

    Raises:
        StorageError: nothing can listen there, or the token is too short.
    """
    if len(token) < LEAST_TOKEN:
        raise StorageError(
            f"storage.listen {listen}: set MLO_STORAGE_TOKEN to {LEAST_TOKEN} characters or more, "
            "which whoever has them may read and write the history with"
        )
    address = f"quack:{listen}"
    try:
        database.cursor().execute(START_SERVING_ALL, [address, token])
    except duckdb.Error as exc:
        reason = str(exc).splitlines()[0].replace(token, "***")
        raise StorageError(f"storage.listen {listen}: {reason}") from exc
    try:
        yield
    finally:
        with suppress(duckdb.Error):  # closing the database stops the server as well
            database.cursor().execute(STOP_SERVING, [address])


def _listen(cursor: duckdb.DuckDBPyConnection, token: str) -> str:
    reason = ""
    for _ in range(ATTEMPTS):
        address = f"quack:127.0.0.1:{_free_port()}"
        try:
            cursor.execute(START_SERVING, [address, token])
        except duckdb.Error as exc:  # another process took the port in between
            reason = str(exc).splitlines()[0].replace(token, "***")
        else:
            return address
    raise StorageError(f"the history cannot be served on a loopback port: {reason}")


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _write_private(path: Path, notice: dict[str, object]) -> None:
    partial = path.with_name(f"{path.name}.tmp")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(notice, stream)
    partial.replace(path)
