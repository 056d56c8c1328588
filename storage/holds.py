"""Hold tenants at an earlier revision, and release them, from any process.

The hold, what the layer `hold` says for it and the audit entry are one transaction. Of two people
at once one is refused and asked to try again, so nobody is held at two revisions.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final

import polars as pl

from policy.frames import LAYERS
from policy.holds import EVERYONE, HOLDS, LAYER, Hold, held_layer
from storage.audit import NOTE
from storage.database import Database, read_frame
from storage.script import run_script

CATEGORY: Final = "user"
COMPONENT: Final = "rollback"

# Every hold and release writes this one row, so that of two at the same time one fails.
TURN: Final = "insert or replace into watermarks values ('held', {at}::timestamptz)"
# Holding everyone ends what was held before; holding one tenant leaves the others as they are.
FORGET: Final = "delete from holds where {tenant} = '' or tenant = {tenant}"
FORGET_LAYER: Final = (
    "delete from layers where layer = {layer} and ({tenant} = '' or tenant = {tenant})"
)
REMEMBER: Final = """
    insert into holds
    values ({tenant}, {revision}::bigint, {at}::timestamptz, {actor}, {reason},
            {until}::timestamptz)
"""
SAY: Final = """
    insert into layers by name
    select
        row.tenant as tenant, row."limit" as "limit", row.layer as layer, row.kind as kind,
        row.value as value, row.reason as reason, row.evidence as evidence,
        row.written_at::timestamptz as written_at, row.expires_at::timestamptz as expires_at
    from (
        select unnest(from_json({rows}, '[{{
            "tenant": "VARCHAR", "limit": "VARCHAR", "layer": "VARCHAR", "kind": "VARCHAR",
            "value": "DOUBLE", "reason": "VARCHAR", "evidence": "VARCHAR",
            "written_at": "VARCHAR", "expires_at": "VARCHAR"
        }}]')) as row
    )
"""
READ_HOLDS: Final = """
    select tenant, revision, "at" as since, actor as by, reason, until
    from holds order by tenant
"""
DROP_ENDED: Final = "delete from holds where until <= ?"


def hold(where: str | Database, word: Hold, *, said: pl.DataFrame, audit: bool = True) -> None:
    """Put the hold in the place of what its tenant was held at before.

    Args:
        where: see `storage.script.run_script`.
        word: who is held, at which revision, why.
        said: LIMITS of the document of that revision.
        audit: whether it is an audit entry.

    Raises:
        StorageError: see `storage.script.run_script`.
    """
    until = word.until.isoformat() if word.until else None
    details = {"revision": word.revision, "reason": word.reason, "until": until}
    _write(
        where,
        [TURN, FORGET, FORGET_LAYER, REMEMBER, SAY, *([NOTE] if audit else [])],
        tenant=word.tenant,
        rows=held_layer(word, said=said),
        at=word.since,
        told={
            "revision": str(word.revision),
            "reason": word.reason,
            "until": until,
            "actor": word.by,
            "action": "rollback",
            "details": json.dumps(details, ensure_ascii=False),
        },
    )


def release(
    where: str | Database,
    *,
    tenant: str,
    everyone: tuple[Hold, pl.DataFrame] | None,
    by: str,
    reason: str | None,
    at: datetime,
    audit: bool = True,
) -> None:
    """End the hold of a tenant, or of all.

    Args:
        where: see `storage.script.run_script`.
        tenant: whose; EVERYONE ends all holds.
        everyone: the hold of everyone, which a tenant of its own falls back to, with the LIMITS of
            the document of its revision; None where there is none.
        by: who ends it.
        reason: why, if that was said.
        at: when, aware UTC.
        audit: whether it is an audit entry.

    Raises:
        StorageError: see `storage.script.run_script`.
    """
    back = pl.DataFrame(schema=LAYERS)
    if everyone is not None and tenant != EVERYONE:
        back = held_layer(everyone[0], said=everyone[1]).filter(pl.col("tenant") == tenant)
    _write(
        where,
        [TURN, FORGET, FORGET_LAYER, SAY, *([NOTE] if audit else [])],
        tenant=tenant,
        rows=back,
        at=at,
        told={
            "actor": by,
            "action": "release",
            "details": json.dumps({"reason": reason}, ensure_ascii=False),
        },
    )


def read_holds(database: Database) -> pl.DataFrame:
    """Who is held (HOLDS), also what has ended since."""
    return read_frame(database, READ_HOLDS, schema=HOLDS)


def drop_ended_holds(database: Database, *, now: datetime) -> None:
    """Forget the holds that have ended."""
    with database.transaction() as cursor:
        cursor.execute(DROP_ENDED, [now])


def _write(
    where: str | Database,
    statements: list[str],
    *,
    tenant: str,
    rows: pl.DataFrame,
    at: datetime,
    told: dict[str, str | None],
) -> None:
    times = [pl.col(name).dt.to_string("iso:strict") for name in ("written_at", "expires_at")]
    shared = {
        "at": at.isoformat(),
        "tenant": tenant,
        "layer": LAYER,
        "category": CATEGORY,
        "component": COMPONENT,
        "rows": json.dumps(rows.with_columns(times).to_dicts(), ensure_ascii=False),
    }
    run_script(where, statements, told={**shared, **told})
