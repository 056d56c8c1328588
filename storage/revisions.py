"""Every document that was to be published: intended first, and then what became of it.

A process that dies between the two leaves an `intended` revision, so that the next one
knows to look at the cluster.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import polars as pl

from policy.frames import COMPOSED, UTC_TIME
from storage.database import Database, read_frame, write_frame
from storage.errors import StorageError

Outcome = Literal["confirmed", "failed", "reverted", "inconclusive"]

REVISIONS: Final = pl.Schema(
    {
        "revision": pl.Int64(),
        "at": UTC_TIME,
        "run_id": pl.String(),
        "actor": pl.String(),
        "sink": pl.String(),
        "sha256": pl.String(),
        "changed_limits": pl.Int64(),
        "outcome": pl.String(),
        "detail": pl.String(),
        "finished_at": UTC_TIME,
    }
)

BEGIN_REVISION: Final = """
    insert into revisions ("at", run_id, actor, sink, document, sha256, changes)
    values (?, ?, ?, ?, ?, ?, ?)
    returning revision
"""
INSERT_LIMITS: Final = """
    insert into revision_limits by name select *, ?::bigint as revision from incoming
"""
FINISH_REVISION: Final = """
    update revisions set outcome = ?, detail = ?, evidence = ?, finished_at = ?
    where revision = ?
    returning revision
"""
# Limits are kept of the newest confirmed revision only: all of them would be a row per
# tenant, limit and publication.
FORGET_LIMITS: Final = """
    delete from revision_limits
    where revision < (select max(revision) from revisions where outcome = 'confirmed')
       or revision in (select revision from revisions where outcome in ('failed', 'reverted'))
"""
ONE_REVISION: Final = "select * from revisions where revision = ?"
NEWEST_CONFIRMED: Final = """
    select * from revisions where outcome = 'confirmed' order by revision desc limit 1
"""
NEWEST_KEPT: Final = """
    select * from revisions where outcome not in ('failed', 'reverted')
    order by revision desc limit 1
"""
# Of the same document the newest tells.
MAY_STAND: Final = """
    select * from revisions
    where sink = $sink and revision >= coalesce(
        (select max(revision) from revisions where sink = $sink and outcome = 'confirmed'), 0
    )
    qualify row_number() over (partition by sha256 order by revision desc) = 1
    order by revision desc
"""
FORGET_REVISION: Final = "delete from revisions where revision = ?"
FORGET_ITS_LIMITS: Final = "delete from revision_limits where revision = ?"
NEWEST: Final = "select * from revisions order by revision desc limit 1"
LIST_REVISIONS: Final = """
    select
        * exclude (document, changes, evidence), json_array_length(changes) as changed_limits
    from revisions order by revision desc limit ?
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is about to be published. `changes` is CHANGES, `composed` is COMPOSED."""

    run_id: str
    actor: str
    sink: str
    document: str
    changes: pl.DataFrame
    composed: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A stored revision; `changes` and `evidence` are JSON."""

    revision: int
    at: datetime
    run_id: str | None
    actor: str
    sink: str
    document: str
    sha256: str
    changes: str
    outcome: str
    detail: str | None
    evidence: str | None
    finished_at: datetime | None


def begin_revision(database: Database, intent: Intent, *, at: datetime) -> int:
    """Store the intent before anything is written elsewhere; return its number."""
    digest = hashlib.sha256(intent.document.encode()).hexdigest()
    changes = intent.changes.write_json()
    with database.transaction() as cursor:
        row = cursor.execute(
            BEGIN_REVISION,
            [at, intent.run_id, intent.actor, intent.sink, intent.document, digest, changes],
        ).fetchone()
        revision = int(row[0]) if row else 0
        if not intent.composed.is_empty():
            limits = intent.composed.select(COMPOSED.names()).drop_nulls("value")
            write_frame(cursor, INSERT_LIMITS, limits, revision)
    return revision


def finish_revision(
    database: Database,
    *,
    revision: int,
    outcome: Outcome,
    detail: str,
    evidence: Mapping[str, object],
    at: datetime,
) -> None:
    """Say what became of a revision.

    Raises:
        StorageError: there is no such revision.
    """
    proof = json.dumps(dict(evidence), default=str)
    with database.transaction() as cursor:
        row = cursor.execute(FINISH_REVISION, [outcome, detail, proof, at, revision]).fetchone()
        if row is None:
            raise _no_revision(revision)
        cursor.execute(FORGET_LIMITS)


def get_revision(database: Database, revision: int) -> Revision:
    """One revision with its document.

    Raises:
        StorageError: there is no such revision.
    """
    found = _one(database, ONE_REVISION, [revision])
    if found is None:
        raise _no_revision(revision)
    return found


def newest_revision(database: Database) -> Revision | None:
    """The revision begun last, whatever became of it; None when there is none."""
    return _one(database, NEWEST, [])


def newest_confirmed(database: Database) -> Revision | None:
    """The revision that was last seen working; None when none was."""
    return _one(database, NEWEST_CONFIRMED, [])


def newest_kept(database: Database) -> Revision | None:
    """The newest revision that was written and not taken back; None where there is none."""
    return _one(database, NEWEST_KEPT, [])


def may_stand(database: Database, *, sink: str) -> list[Revision]:
    """The revisions of which any may stand in the sink: newest first, none before the confirmed.

    One that was begun by a process that died may never have been written, and one whose write was
    answered with an error may have arrived.
    """
    return _all(database, MAY_STAND, {"sink": sink})


def forget_revision(database: Database, *, revision: int) -> None:
    """Drop a revision of which nothing was written: somebody else was quicker."""
    with database.transaction() as cursor:
        cursor.execute(FORGET_ITS_LIMITS, [revision])
        cursor.execute(FORGET_REVISION, [revision])


def list_revisions(database: Database, *, newest: int = 50) -> pl.DataFrame:
    """The newest revisions without their documents (REVISIONS), newest first."""
    return read_frame(database, LIST_REVISIONS, [newest], schema=REVISIONS)


def _one(database: Database, statement: str, parameters: list[object]) -> Revision | None:
    found = _all(database, statement, parameters)
    return found[0] if found else None


def _all(
    database: Database, statement: str, parameters: list[object] | dict[str, object]
) -> list[Revision]:
    answer = database.cursor().execute(statement, parameters)
    names = [column[0] for column in answer.description or []]
    return [Revision(**dict(zip(names, row, strict=True))) for row in answer.fetchall()]


def _no_revision(revision: int) -> StorageError:
    return StorageError(
        f'there is no revision {revision}; `mlo sql "from v_revisions"` lists those there are'
    )
