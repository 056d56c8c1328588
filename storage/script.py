"""Several statements as one text, for any process: run by the owner of the history, or by itself.

`storage.client.query` takes whole statements without parameters, so what a person typed is written
as a literal here, and only here. A script is one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from storage.client import query
from storage.database import Database
from storage.errors import StorageError
from storage.literals import literal

CLASHES: Final = ("Conflict", "constraint")


def run_script(
    where: str | Database, statements: Sequence[str], *, told: Mapping[str, str | None]
) -> None:
    """Run the statements, all or none.

    Args:
        where: `storage.url`: the path of the file, or `quack:host:port`; in the process that owns
            the history, its database.
        statements: SQL with the names of `told` in braces, where a value is to stand.
        told: texts, none of which can mean anything but itself; None is null.

    Raises:
        StorageError: the history cannot be reached or written, or somebody writes the same rows
            at this moment.
    """
    literals = {name: literal(text) for name, text in told.items()}
    filled = [each.format_map(literals) for each in statements]
    if isinstance(where, Database):
        with where.transaction() as cursor:
            for statement in filled:
                cursor.execute(statement)
        return
    try:
        query(where, "; ".join(["begin", *filled, "commit"]), write=True)
    except StorageError as refusal:
        if any(clash in str(refusal) for clash in CLASHES):
            raise StorageError(
                "somebody else changes the same at this moment, and nothing was changed; try again"
            ) from refusal
        raise
