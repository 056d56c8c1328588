"""How many audit entries are kept, and which go: always the oldest.

An entry takes about as much as its line in a file: its texts, and the names of its fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from storage.database import Database

_FIELDS_BYTES: Final = 180  # names, quotes, time and level in a line

_SIZE: Final = f"""(
    {_FIELDS_BYTES} + strlen(component) + strlen(action) + coalesce(strlen(tenant), 0)
    + strlen(details) + strlen(category) + strlen(actor) + coalesce(strlen(run_id), 0)
)"""
MEASURE_AUDIT: Final = f"select count(*), coalesce(sum({_SIZE}), 0)::bigint from audit"  # noqa: S608 - of constants
TRIM_AUDIT: Final = f"""
    delete from audit where rowid in (
        select entry from (
            select
                rowid as entry,
                row_number() over newest_first as place,
                sum({_SIZE}) over newest_first as bytes
            from audit
            window newest_first as (
                order by "at" desc, rowid desc rows unbounded preceding
            )
        )
        where place > $entries or bytes > $bytes
    )
    returning "at"
"""  # noqa: S608 - of constants
FORGET_AUDIT: Final = "delete from audit where exported or not $but_waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How much of something there is, or may be."""

    entries: int
    bytes: int

    def share_of(self, most: Kept) -> float:
        """Of what may be kept, in percent: of the entries or of the bytes, whichever is fuller."""
        return 100 * max(self.entries / most.entries, self.bytes / most.bytes)


def measure_audit(database: Database) -> Kept:
    """How much the audit holds."""
    entries, size = database.cursor().execute(MEASURE_AUDIT).fetchone() or (0, 0)
    return Kept(entries=int(entries), bytes=int(size))


def trim_audit(database: Database, *, most: Kept) -> list[datetime]:
    """Delete the oldest entries above `most`; the times of those that went."""
    with database.transaction() as cursor:
        return [
            at
            for (at,) in cursor.execute(
                TRIM_AUDIT,
                {
                    "entries": most.entries,
                    "bytes": most.bytes,
                },
            ).fetchall()
        ]


def forget_audit(database: Database, *, but_waiting: bool) -> int:
    """Delete what an earlier process left; return how many entries that were.

    Args:
        database: the history.
        but_waiting: what was not exported yet stays.
    """
    with database.transaction() as cursor:
        counted = cursor.execute(FORGET_AUDIT, {"but_waiting": but_waiting}).fetchone()
    return int(counted[0]) if counted else 0
