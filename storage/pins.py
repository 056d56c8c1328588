"""Pin and unpin from any process, whether the owner of the history runs or not.

The pin and its audit entry are one transaction. Two people at once: one of them is refused and
asked to try again, so a limit never has two pins.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from policy.audit import Category
from policy.pins import LAYER, Pin
from storage.database import Database
from storage.script import run_script

CATEGORY: Final[Category] = "user"

# Every pin writes this one row, so that of two at the same time one fails.
TURN: Final = "insert or replace into watermarks values ('pinned', {at}::timestamptz)"
FORGET: Final = (
    'delete from layers where layer = {layer} and tenant = {tenant} and "limit" = {limit}'
)
SAY: Final = """
    insert into layers by name
    select
        {tenant} as tenant, {limit} as "limit", {layer} as layer, 'set' as kind,
        {value}::double as value, {reason} as reason, {evidence} as evidence,
        {at}::timestamptz as written_at, {until}::timestamptz as expires_at
"""
# Before the pin that it replaces is forgotten: that is what was there before.
NOTE: Final = """
    insert into audit by name
    select
        {at}::timestamptz as "at", {category} as category, {layer} as component,
        {action} as action, {tenant} as tenant, {actor} as actor, true as success,
        json_object(
            'limit', {limit},
            'before', (
                select any_value(value) from layers
                where layer = {layer} and tenant = {tenant} and "limit" = {limit}
                  and (expires_at is null or expires_at > {at}::timestamptz)
            ),
            'after', {value}::double,
            'reason', {reason},
            'until', {until}
        ) as details
"""
NOTE_IF_PINNED: Final = f"""{NOTE}
    where exists (
        from layers where layer = {{layer}} and tenant = {{tenant}} and "limit" = {{limit}}
    )
"""


def pin(where: str | Database, word: Pin, *, audit: bool = True) -> None:
    """Put the pin in the place of what this limit of this tenant was pinned to.

    Args:
        where: see `storage.script.run_script`.
        word: the pin, checked before.
        audit: whether it is an audit entry.

    Raises:
        StorageError: the history cannot be reached or written, or somebody pins at this moment.
    """
    _write(
        where,
        [TURN, *([NOTE] if audit else []), FORGET, SAY],
        told={
            "at": word.since.isoformat(),
            "until": word.until.isoformat() if word.until else None,
            "tenant": word.tenant,
            "limit": word.limit,
            "value": repr(word.value),
            "reason": word.reason,
            "evidence": word.evidence(),
            "actor": word.by,
            "action": "pin",
        },
    )


def unpin(
    where: str | Database,
    *,
    tenant: str,
    limit: str,
    by: str,
    reason: str | None,
    at: datetime,
    audit: bool = True,
) -> None:
    """Take the pin on this limit of this tenant back; without one, nothing is done.

    Args:
        where: see `pin`.
        tenant: whose.
        limit: which.
        by: who takes it back.
        reason: why, if that was said.
        at: when, aware UTC.
        audit: whether it is an audit entry.

    Raises:
        StorageError: see `pin`.
    """
    _write(
        where,
        [TURN, *([NOTE_IF_PINNED] if audit else []), FORGET],
        told={
            "at": at.isoformat(),
            "tenant": tenant,
            "limit": limit,
            "actor": by,
            "action": "unpin",
            "value": None,
            "until": None,
            "reason": reason,
        },
    )


def _write(where: str | Database, statements: list[str], *, told: dict[str, str | None]) -> None:
    run_script(where, statements, told={**told, "layer": LAYER, "category": CATEGORY})
