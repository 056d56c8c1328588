"""Keep the histories of simulated and of real tenants apart: they must never mix in one file."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from storage.database import Database
from storage.errors import StorageError
from storage.served import ServedHistory

READ_ORIGIN: Final = "select simulated from history_origin"
HINT: Final = "one, or synthetic.enabled as it is there"
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
    _refuse_other(
        bool(row[0]), simulated=simulated, where=f"{database.path}", hint="file, or delete this one"
    )


def refuse_other_kind(database: ServedHistory, *, simulated: bool) -> None:
    """Refuse a served history of the other kind of tenants.

    Raises:
        StorageError: it is one.
    """
    row = database.cursor().execute(READ_ORIGIN).fetchone()
    if row is not None:
        _refuse_other(bool(row[0]), simulated=simulated, where=database.server.address, hint=HINT)


def _refuse_other(found: bool, *, simulated: bool, where: str, hint: str) -> None:  # noqa: FBT001 - which kind
    if found != simulated:
        kind, other = ("simulated", "real") if found else ("real", "simulated")
        raise StorageError(
            f"{where} holds the history of {kind} tenants and cannot take that of {other} "
            f"ones: set storage.url to another {hint}"
        )
