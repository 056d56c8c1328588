"""What tells a history from all others, so that a process can say who it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from storage.database import Database

READ_IDENTITY: Final = "select name from history_identity"
SAY_IDENTITY: Final = "insert into history_identity values (?)"


def identity(database: Database, *, new: Callable[[], str]) -> str:
    """The name of this history; the first time it is asked for it is made by `new`."""
    with database.transaction() as cursor:
        row = cursor.execute(READ_IDENTITY).fetchone()
        if row is not None:
            return str(row[0])
        name = new()
        cursor.execute(SAY_IDENTITY, [name])
        return name
