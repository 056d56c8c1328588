"""Look for audit entries from any process, whether the owner of the history runs or not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from policy.audit import Category
from storage.audit import AUDIT
from storage.client import query
from storage.database import Database, read_frame
from storage.literals import literal

ENTRIES: Final = """
    select * exclude (exported) from audit where {which} order by "at" desc, rowid desc {most}
"""
COUNTED: Final = """
    select "{field}" as field from audit group by all order by count(*) desc, field
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which entries; None is any.

    Attributes:
        since: aware; the oldest moment.
        failed: only what did not work.
        newest: how many at most, the newest of them.
    """

    tenant: str | None = None
    category: Category | None = None
    component: str | None = None
    action: str | None = None
    since: datetime | None = None
    failed: bool = False
    newest: int | None = None


def entries(where: str | Database, asked: Asked) -> pl.DataFrame:
    """What matches (AUDIT), newest first.

    Args:
        where: as in `storage.reading`.
        asked: which entries.

    Raises:
        StorageError: the history cannot be reached, or there is none yet.
    """
    equal = {
        "tenant": asked.tenant,
        "category": asked.category,
        "component": asked.component,
        "action": asked.action,
    }
    which = [f"{field} = {literal(text)}" for field, text in equal.items() if text is not None]
    if asked.since is not None:
        which.append(f'"at" >= {literal(asked.since.isoformat())}::timestamptz')
    if asked.failed:
        which.append("not success")
    most = "" if asked.newest is None else f"limit {asked.newest}"
    sql = ENTRIES.format(which=" and ".join(which) or "true", most=most)
    found = read_frame(where, sql) if isinstance(where, Database) else query(where, sql)
    return found.select(AUDIT.names()).cast(AUDIT)


def met(url: str, field: str) -> list[str]:
    """Every `component`, `action` or `tenant` that entries name, the most frequent first.

    Raises:
        StorageError: see `entries`.
    """
    return query(url, COUNTED.format(field=field)).get_column("field").drop_nulls().to_list()
