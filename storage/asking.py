"""Ask the snapshot a question in SQL that somebody else wrote: nothing but its tables is in reach.

The snapshot is a file of its own, opened anew for each question and closed after it, so a question
that is too large slows nobody down and sees no file of this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Final

import duckdb

from policy.errors import ConfigError
from storage.client import check_statements
from storage.engine import connect, one_line, snapshot_of
from storage.errors import StorageError


class SqlRefusedError(ConfigError):
    """A question that is not answered, whoever asks it again."""


LONGEST_SECONDS: Final = 10.0
MOST_ROWS: Final = 10_000
CONFINED: Final = (
    "set enable_external_access = false",
    "set memory_limit = '256MiB'",
    "set max_temp_directory_size = '0B'",
    "set threads = 1",
    "set lock_configuration = true",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the snapshot says; `more`: there are more rows than MOST_ROWS."""

    columns: list[str]
    rows: list[tuple[object, ...]]
    more: bool


def ask_snapshot(path: Path, sql: str, *, seconds: float = LONGEST_SECONDS) -> Answer:
    """The answer to a question.

    Args:
        path: of the history; the snapshot is beside it.
        sql: one statement that reads.
        seconds: the longest that it may take.

    Raises:
        SqlRefusedError: it is no such statement, it is wrong, or it took too long or too much.
        StorageError: there is no snapshot yet.
    """
    refuse_other_than_one(sql)
    snapshot = snapshot_of(path)
    if not snapshot.exists():
        raise StorageError("there is no snapshot yet; `optimize` makes one at each run")
    with connect(str(snapshot), read_only=True) as connection:
        for statement in CONFINED:
            connection.execute(statement)
        timer = Timer(seconds, connection.interrupt)
        timer.start()
        try:
            found = connection.execute(sql)
            rows = found.fetchmany(MOST_ROWS + 1)
            columns = [name for name, *_ in found.description or ()]
        except duckdb.InterruptException as exc:
            raise SqlRefusedError(f"SQL: it took more than {seconds:g} s") from exc
        except duckdb.Error as exc:
            raise SqlRefusedError(f"SQL: {one_line(str(exc))}") from exc
        finally:
            timer.cancel()
    return Answer(columns=columns, rows=rows[:MOST_ROWS], more=len(rows) > MOST_ROWS)


def refuse_other_than_one(sql: str) -> None:
    """Refuse what is not one statement that reads.

    Raises:
        SqlRefusedError: with the reason.
    """
    try:
        check_statements(sql)
    except StorageError as refusal:
        raise SqlRefusedError(str(refusal)) from refusal
    if len(duckdb.extract_statements(sql)) > 1:
        raise SqlRefusedError("SQL: one statement at a time")
