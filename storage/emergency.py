"""Where the emergency stands; one row, so that a process that starts in the middle goes on."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from storage.database import Database

FORGET_EMERGENCY: Final = "delete from emergency"
REMEMBER_EMERGENCY: Final = "insert into emergency values (?, ?)"
READ_EMERGENCY: Final = 'select state from emergency order by "at" desc limit 1'


def replace_emergency(database: Database, state: str | None, *, at: datetime) -> None:
    """Put the state, as JSON, in the place of the one before; None: there is none any more."""
    with database.transaction() as cursor:
        cursor.execute(FORGET_EMERGENCY)
        if state is not None:
            cursor.execute(REMEMBER_EMERGENCY, [at, state])


def read_emergency(database: Database) -> str | None:
    """The state as it was stored; None where there is none."""
    found = database.cursor().execute(READ_EMERGENCY).fetchone()
    return None if found is None else str(found[0])
