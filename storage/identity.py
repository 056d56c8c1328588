"""What tells a history from all others, so that a process can say who it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from storage.database import Database

READ_IDENTITY: Final = "select name from history_identity"
SAY_IDENTITY: Final = "insert into history_identity values (?)"

LAST_EPOCH: Final = "select epoch from writer_epochs where sink = ?"
KEEP_EPOCH: Final = "insert or replace into writer_epochs values (?, ?)"


def identity(database: Database, *, new: Callable[[], str]) -> str:
    """The name of this history; the first time it is asked for it is made by `new`."""
    with database.transaction() as cursor:
        row = cursor.execute(READ_IDENTITY).fetchone()
        if row is not None:
            return str(row[0])
        name = new()
        cursor.execute(SAY_IDENTITY, [name])
        return name


def last_epoch(database: Database, *, sink: str) -> int | None:
    """The epoch with which this history wrote to a sink at last; None: it never did."""
    row = database.cursor().execute(LAST_EPOCH, [sink]).fetchone()
    return None if row is None else int(row[0])


def keep_epoch(database: Database, *, sink: str, epoch: int) -> None:
    """Remember the epoch with which this history writes to a sink."""
    with database.transaction() as cursor:
        cursor.execute(KEEP_EPOCH, [sink, epoch])
