"""Who did what to whom, and whether it worked.

Entries are appended and never changed; only that they were exported is noted beside them.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import polars as pl

from policy.alerting.alert import Alert
from policy.alerting.raised import alerts_of
from policy.audit import AuditEntry
from policy.frames import UTC_TIME
from storage.alerts import raise_alerts
from storage.database import Database, read_frame, write_frame

_log = logging.getLogger(__name__)

AUDIT: Final = pl.Schema(
    {
        "at": UTC_TIME,
        "category": pl.String(),
        "component": pl.String(),
        "action": pl.String(),
        "tenant": pl.String(),
        "actor": pl.String(),
        "run_id": pl.String(),
        "success": pl.Boolean(),
        "details": pl.String(),
    }
)

INSERT_AUDIT: Final = "insert into audit by name select * from incoming"
# Of a script (storage.script), for what people do from any process.
NOTE: Final = """
    insert into audit by name
    select
        {at}::timestamptz as "at", {category} as category, {component} as component,
        {action} as action, nullif({tenant}, '') as tenant, {actor} as actor, true as success,
        {details}::json as details
"""
NOT_EXPORTED: Final = """
    select rowid as entry, * exclude (exported)
    from audit
    where not exported
    order by "at", rowid
    limit ?
"""
# Row ids hold within a transaction only: what is marked was read in the same one.
MARK_EXPORTED: Final = """
    update audit set exported = true where rowid in (select entry from incoming)
"""
NEWEST_AUDIT: Final = 'select * from audit order by "at" desc, rowid desc limit ?'
WAITING: Final = "select 1 from audit where not exported limit 1"
STATE_OF_AUDIT: Final = 'select count(*), max("at"), max(rowid) from audit'
CHANGES_ENTERED: Final = """
    select 1 from audit
    where "at" >= $since and action = 'limit_changed' and success
      and (details->>'$.revision')::bigint = $revision
    limit 1
"""
READ_AUDIT: Final = """
    select *
    from audit
    where "at" >= $since
      and ($tenant is null or tenant = $tenant)
      and ($category is null or category = $category)
    order by "at" desc
    limit $newest
"""


def append_audit(database: Database, entries: Sequence[AuditEntry]) -> None:
    """Append the entries, and keep the alerts that follow from them, all or none."""
    raised = _alerts(entries)
    entries = [entry for entry in entries if entry.logged]
    if not entries and not raised:
        return
    frame = pl.DataFrame(
        {
            name: [
                _as_json(entry.details) if name == "details" else getattr(entry, name)
                for entry in entries
            ]
            for name in AUDIT.names()
        },
        schema=AUDIT,
    )
    with database.transaction() as cursor:
        if entries:
            write_frame(cursor, INSERT_AUDIT, frame)
        raise_alerts(database, raised)


def _alerts(entries: Sequence[AuditEntry]) -> list[Alert]:
    """What is told of the entries; a title that fails must not undo what it would tell of."""
    try:
        return list(alerts_of(entries))
    except Exception:  # noqa: BLE001 - whatever it is, what happened is entered
        _log.exception("a defect of ours, please report it: nobody is told of this")
        return []


def export_entries(
    database: Database, *, write: Callable[[pl.DataFrame], None], at_most: int
) -> int:
    """Give entries that were never exported to `write`, the oldest first; return how many.

    They count as exported once `write` has returned. Who dies in between gives them again.

    Args:
        database: the history.
        write: keeps a frame (AUDIT) where it outlives us, or raises.
        at_most: how many.
    """
    with database.transaction() as cursor:
        found = cursor.execute(NOT_EXPORTED, [at_most]).pl()
        if found.is_empty():
            return 0
        write(found.select(AUDIT.names()).cast(AUDIT))
        write_frame(cursor, MARK_EXPORTED, found.select("entry"))
    return found.height


def export_waits(database: Database) -> bool:
    """Whether there are entries that were never exported."""
    return database.cursor().execute(WAITING).fetchone() is not None


def changes_entered(database: Database, *, revision: int, since: datetime) -> bool:
    """Whether the changes of a revision that was begun then have been entered."""
    asked = {"revision": revision, "since": since}
    return database.cursor().execute(CHANGES_ENTERED, asked).fetchone() is not None


def newest_entries(database: Database, *, newest: int) -> pl.DataFrame:
    """The newest entries (AUDIT), newest first."""
    return read_frame(database, NEWEST_AUDIT, [newest], schema=AUDIT)


def state_of_audit(database: Database) -> tuple[object, ...]:
    """Something to compare: the same answer means that nothing was appended."""
    return database.cursor().execute(STATE_OF_AUDIT).fetchone() or ()


def read_audit(
    database: Database,
    *,
    since: datetime,
    tenant: str | None = None,
    category: str | None = None,
    newest: int = 1_000,
) -> pl.DataFrame:
    """The entries since then (AUDIT), newest first; `details` is JSON."""
    return read_frame(
        database,
        READ_AUDIT,
        {"since": since, "tenant": tenant, "category": category, "newest": newest},
        schema=AUDIT,
    )


def _as_json(details: Mapping[str, object]) -> str:
    text = json.dumps(_finite(details), default=str, ensure_ascii=False)
    return text.encode(errors="replace").decode()  # half a character cannot be kept


def _finite(value: object) -> object:
    """The value with what JSON has no word for as text: it would not be kept otherwise."""
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case Mapping():
            return {str(key): _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value
