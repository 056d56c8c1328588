"""What people order of everything that is published: nothing new, or nothing at all.

After `mlo pause` what stands stays; after `mlo withdraw` none of our limits is left. `mlo resume`
ends both.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final

from storage.audit import NOTE
from storage.database import Database
from storage.script import run_script

CATEGORY: Final = "user"
COMPONENT: Final = "publish"

FORGET: Final = "delete from pauses"
REMEMBER: Final = """
    insert into pauses values ({at}::timestamptz, {actor}, {reason}, {until}::timestamptz)
"""
FORGET_WITHDRAWAL: Final = "delete from withdrawals"
WITHDRAW: Final = "insert into withdrawals values ({at}::timestamptz, {actor}, {reason})"
WITHDRAWN: Final = 'select actor, reason from withdrawals order by "at" desc limit 1'
PAUSED: Final = """
    select actor, reason, until from pauses
    where until is null or until > ?
    order by "at" desc limit 1
"""


def pause(
    where: str | Database,
    *,
    by: str,
    reason: str,
    at: datetime,
    until: datetime | None,
    audit: bool = True,
) -> None:
    """Publish nothing from now on, in the place of a pause before.

    Args:
        where: see `storage.script.run_script`.
        by: who says so.
        reason: why.
        at: when, aware UTC.
        until: when it ends by itself; None: with `resume`.
        audit: whether it is an audit entry.

    Raises:
        StorageError: see `storage.script.run_script`.
    """
    end = until.isoformat() if until else None
    told = {"reason": reason, "until": end}
    details = json.dumps(told, ensure_ascii=False)
    statements = [FORGET, REMEMBER, *([NOTE] if audit else [])]
    _write(where, statements, action="pause", by=by, at=at, told={**told, "details": details})


def withdraw(
    where: str | Database, *, by: str, reason: str, at: datetime, audit: bool = True
) -> None:
    """Publish no limit of ours from now on, also where it was paused.

    Args:
        where: see `storage.script.run_script`.
        by: who says so.
        reason: why.
        at: when, aware UTC.
        audit: whether it is an audit entry.

    Raises:
        StorageError: see `storage.script.run_script`.
    """
    details = json.dumps({"reason": reason}, ensure_ascii=False)
    statements = [FORGET, FORGET_WITHDRAWAL, WITHDRAW, *([NOTE] if audit else [])]
    told: dict[str, str | None] = {"reason": reason, "details": details}
    _write(where, statements, action="withdraw", by=by, at=at, told=told)


def resume(
    where: str | Database, *, by: str, reason: str | None, at: datetime, audit: bool = True
) -> None:
    """Publish again, whatever was paused or withdrawn.

    Args:
        where: see `storage.script.run_script`.
        by: who says so.
        reason: why, if that was said.
        at: when, aware UTC.
        audit: whether it is an audit entry.

    Raises:
        StorageError: see `storage.script.run_script`.
    """
    details = json.dumps({"reason": reason}, ensure_ascii=False)
    statements = [FORGET, FORGET_WITHDRAWAL, *([NOTE] if audit else [])]
    _write(where, statements, action="resume", by=by, at=at, told={"details": details})


def pause_now(database: Database, *, now: datetime) -> str | None:
    """Why nothing is published now; None where nobody paused."""
    row = database.cursor().execute(PAUSED, [now]).fetchone()
    return None if row is None else words_of_pause(*row)


def withdrawn_now(database: Database) -> str | None:
    """Why none of our limits is published; None where nobody withdrew them."""
    row = database.cursor().execute(WITHDRAWN).fetchone()
    return None if row is None else words_of_withdrawal(*row)


def words_of_withdrawal(by: str, reason: str) -> str:
    """`anna withdrew every limit of ours: it is uninstalled`."""
    return f"{by} withdrew every limit of ours: {reason}"


def words_of_pause(by: str, reason: str, until: datetime | None) -> str:
    """`anna paused it: upgrade of Mimir, until 2026-11-26 08:00 UTC`."""
    end = f", until {until:%Y-%m-%d %H:%M} UTC" if until else ""
    return f"{by} paused it: {reason}{end}"


def _write(
    where: str | Database,
    statements: list[str],
    *,
    action: str,
    by: str,
    at: datetime,
    told: dict[str, str | None],
) -> None:
    shared = {
        "at": at.isoformat(),
        "actor": by,
        "action": action,
        "tenant": None,
        "category": CATEGORY,
        "component": COMPONENT,
    }
    run_script(where, statements, told={**shared, **told})
