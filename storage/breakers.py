"""The breakers: their states, how they turned, who switched them off, their thresholds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import polars as pl

from policy.breakers import BREAKERS, TURNS
from policy.detection import THRESHOLDS
from policy.frames import UTC_TIME
from storage.audit import NOTE
from storage.database import Database, read_frame, write_frame
from storage.script import run_script

EVERYONE: Final = ""
CATEGORY: Final = "user"
COMPONENT: Final = "breaker"

# Whose breaker is off, by whom and why; tenant '' is everyone.
SWITCHED_OFF: Final = pl.Schema(
    {"tenant": pl.String(), "at": UTC_TIME, "by": pl.String(), "reason": pl.String()}
)

DELETE_BREAKERS: Final = "delete from breakers"
INSERT_BREAKERS: Final = "insert into breakers by name select * from incoming"
READ_BREAKERS: Final = "select * from breakers order by tenant"
INSERT_TURNS: Final = """
    insert into breaker_turns by name select *, ?::timestamptz as "at", ?::varchar as run_id
    from incoming
"""
READ_SWITCHED_OFF: Final = """
    select tenant, "at", actor as by, reason from breaker_switches order by tenant
"""
READ_THRESHOLDS: Final = "select tenant, kind, threshold, false as manual from breaker_thresholds"
DELETE_THRESHOLDS: Final = "delete from breaker_thresholds"
INSERT_THRESHOLDS: Final = """
    insert into breaker_thresholds by name
    select tenant, kind, threshold, ?::timestamptz as "at" from incoming
"""
THRESHOLDS_AT: Final = 'select max("at") from breaker_thresholds'
# What 95 of 100 looks of the last hour stayed below, say.
REACHED: Final = """
    select tenant, signal, quantile_cont(value, $share) as value
    from samples
    where "at" >= $since and list_contains($signals::varchar[], signal)
    group by tenant, signal
"""
SWITCH_OFF: Final = """
    insert or replace into breaker_switches
    values ({tenant}, {at}::timestamptz, {actor}, {reason})
"""
SWITCH_ON: Final = "delete from breaker_switches where tenant = {tenant}"
RESET: Final = "delete from breakers where tenant = {tenant}"
RELEASE: Final = "delete from layers where layer = 'breaker' and tenant = {tenant}"


def replace_breakers(
    database: Database,
    breakers: pl.DataFrame,
    *,
    turns: pl.DataFrame,
    evidence: Mapping[str, object],
    at: datetime,
    run_id: str,
) -> None:
    """Put BREAKERS in the place of what stood there, and keep the TURNS with what was seen.

    Args:
        database: the history.
        breakers: all of them.
        turns: those that turned; nobody else is written anew.
        evidence: by tenant, what was seen.
        at: when, aware UTC.
        run_id: of the run that looked.
    """
    told = turns.select(TURNS.names()).with_columns(
        evidence=pl.col("tenant").map_elements(
            lambda tenant: json.dumps(evidence.get(tenant, {}), default=str),
            return_dtype=pl.String,
        )
    )
    with database.transaction() as cursor:
        cursor.execute(DELETE_BREAKERS)
        if not breakers.is_empty():
            write_frame(cursor, INSERT_BREAKERS, breakers)
        if not told.is_empty():
            write_frame(cursor, INSERT_TURNS, told, at, run_id)


def read_breakers(database: Database) -> pl.DataFrame:
    """BREAKERS, sorted by tenant."""
    return read_frame(database, READ_BREAKERS, schema=BREAKERS)


def switched_off(database: Database) -> pl.DataFrame:
    """Whose breaker is off by the word of a person (SWITCHED_OFF)."""
    return read_frame(database, READ_SWITCHED_OFF, schema=SWITCHED_OFF)


def read_thresholds(database: Database) -> pl.DataFrame:
    """THRESHOLDS as they were adapted last."""
    return read_frame(database, READ_THRESHOLDS, schema=THRESHOLDS)


def thresholds_at(database: Database) -> datetime | None:
    """When they were adapted last."""
    row = database.cursor().execute(THRESHOLDS_AT).fetchone()
    return row[0] if row else None


def replace_thresholds(database: Database, frame: pl.DataFrame, *, at: datetime) -> None:
    """Put THRESHOLDS in the place of what stood there."""
    with database.transaction() as cursor:
        cursor.execute(DELETE_THRESHOLDS)
        if not frame.is_empty():
            write_frame(cursor, INSERT_THRESHOLDS, frame, at)


def reached(
    database: Database, *, since: datetime, signals: list[str], percentile: float
) -> pl.DataFrame:
    """Columns tenant, signal, value: what so many percent of the looks since then stayed below."""
    told: dict[str, object] = {"since": since, "signals": signals, "share": percentile / 100}
    return read_frame(database, REACHED, told)


def switch(
    where: str | Database,
    *,
    tenant: str,
    on: bool,
    by: str,
    reason: str,
    at: datetime,
    audit: bool = True,
) -> None:
    """Switch the breaker of a tenant, or of everyone, on or off.

    Args:
        where: see `storage.script.run_script`.
        tenant: whose; EVERYONE is all.
        on: whether it works from now on.
        by: who says so.
        reason: why.
        at: when, aware UTC.
        audit: whether it is an audit entry.

    Raises:
        StorageError: see `storage.script.run_script`.
    """
    action = "breaker_enabled" if on else "breaker_disabled"
    statements = [SWITCH_ON if on else SWITCH_OFF, *([NOTE] if audit else [])]
    _write(where, statements, tenant=tenant, action=action, by=by, reason=reason, at=at)


def reset(
    where: str | Database,
    *,
    tenant: str,
    by: str,
    reason: str,
    at: datetime,
    audit: bool = True,
) -> None:
    """Close the breaker of a tenant at once, and forget its openings; see `switch`.

    Raises:
        StorageError: see `storage.script.run_script`.
    """
    statements = [RESET, RELEASE, *([NOTE] if audit else [])]
    _write(where, statements, tenant=tenant, action="breaker_reset", by=by, reason=reason, at=at)


def _write(
    where: str | Database,
    statements: list[str],
    *,
    tenant: str,
    action: str,
    by: str,
    reason: str,
    at: datetime,
) -> None:
    told = {
        "tenant": tenant,
        "at": at.isoformat(),
        "actor": by,
        "reason": reason,
        "action": action,
        "category": CATEGORY,
        "component": COMPONENT,
        "details": json.dumps({"reason": reason}, ensure_ascii=False),
    }
    run_script(where, statements, told=told)
