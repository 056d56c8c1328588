"""Keep the histories of simulated and of real tenants apart: they must never mix in one file."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from storage.database import Database
from storage.errors import StorageError

READ_ORIGIN: Final = "select simulated from history_origin"
SAY_ORIGIN: Final = "insert into history_origin values (?, ?)"


def claim(database: Database, *, simulated: bool, at: datetime) -> None:
    """Say what kind of tenants this history is about, once and for all.

    Raises:
        StorageError: it is about the other kind.
    """
    with database.transaction() as cursor:
        row = cursor.execute(READ_ORIGIN).fetchone()
        if row is None:
            cursor.execute(SAY_ORIGIN, [simulated, at])
            return
    if bool(row[0]) != simulated:
        kind, other = ("simulated", "real") if row[0] else ("real", "simulated")
        raise StorageError(
            f"{database.path} holds the history of {kind} tenants and cannot take that of {other} "
            "ones: set storage.url to another file, or delete this one"
        )
