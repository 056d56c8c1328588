"""Who did what to whom, and whether it worked. Entries are appended, never changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from policy.frames import UTC_TIME
from storage.database import Database, read_frame, write_frame

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
READ_AUDIT: Final = """
    select *
    from audit
    where "at" >= $since
      and ($tenant is null or tenant = $tenant)
      and ($category is null or category = $category)
    order by "at" desc
    limit $newest
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One thing that was done. `tenant` None: it concerned no single tenant."""

    at: datetime
    category: str
    component: str
    action: str
    actor: str
    success: bool
    details: Mapping[str, object]
    tenant: str | None = None
    run_id: str | None = None


def append_audit(database: Database, entries: Sequence[AuditEntry]) -> None:
    """Append the entries, all or none."""
    if not entries:
        return
    frame = pl.DataFrame(
        {
            name: [
                json.dumps(dict(entry.details), default=str)
                if name == "details"
                else getattr(entry, name)
                for entry in entries
            ]
            for name in AUDIT.names()
        },
        schema=AUDIT,
    )
    with database.transaction() as cursor:
        write_frame(cursor, INSERT_AUDIT, frame)


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
