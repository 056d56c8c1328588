"""Publish a plan: write down the intent, write the document, and leave the proof to later runs.

A publish never waits for Mimir to load the document: that takes up to a reload period, and
`protect` must not stand still. The revision stays `intended` until `tasks.settle` has seen every
process report it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import polars as pl

from policy.audit import SUPERSEDED, logged
from policy.document import digest, parse
from policy.errors import ConfigError, Conflict, OptimizerError
from policy.frames import CHANGES, LIMITS, empty
from policy.plan import Plan
from storage.audit import append_audit
from storage.database import Database
from storage.revisions import (
    Intent,
    Revision,
    begin_revision,
    finish_revision,
    forget_revision,
    list_revisions,
    newest_kept,
    newest_revision,
)
from tasks.audit_entries import (
    OPTIMIZER,
    changes_not_entered,
    limits_changed,
    publish_failed,
    revision_settled,
)
from tasks.retry import retry_policy
from tasks.sinks.base import Published, Sink
from tasks.step import step
from tasks.threads import threaded

NOT_WRITTEN: Final = "not written"
RETRY_REFUSED_AFTER: Final = timedelta(hours=1)
# Each try keeps its document: one that fails every quarter of a minute would fill the disk.
TRIES_AT_ONCE: Final = 3
RETRY_UNWRITTEN_AFTER: Final = timedelta(minutes=5)
TAKEN_BACK: Final = ("failed", "reverted")

_NEWEST: Final = 50  # revisions looked through, of which most are of the last days


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Publication:
    """What became of a plan.

    Attributes:
        outcome: `nothing` to say, `would` be written (dry run), `refused`, or `written`.
        changes: CHANGES that were, or would be, made.
        revision: the number of what was written.
        problems: why it was refused, one line each.
    """

    outcome: Literal["nothing", "would", "refused", "written"]
    changes: pl.DataFrame
    revision: int | None = None
    problems: tuple[str, ...] = ()


def standing(
    sink: Sink | None, *, database: Database, known: tuple[str, pl.DataFrame] | None = None
) -> tuple[Published, pl.DataFrame]:
    """What the sink holds now, and the LIMITS it says.

    Without a sink, in a dry run, the history tells what an earlier run left there.

    Args:
        sink: where we publish.
        database: the history.
        known: a version of the document that was read before, and the LIMITS that it says.

    Raises:
        ConfigError: what stands there is not ours to overwrite.
    """
    if sink is None:
        return Published(document=None, version=""), last_written(database)
    held = sink.read()
    if known is not None and known[0] == held.version:
        return held, known[1]
    if held.document is None or not held.document.strip():
        return held, empty(LIMITS)
    try:
        return held, parse(held.document)
    except ConfigError as exc:
        raise ConfigError(
            f"{sink.describe()} holds a document that we did not write ({exc}); it is left "
            "alone: point publish at a file of its own, which Mimir merges last"
        ) from exc


def last_written(database: Database) -> pl.DataFrame:
    """LIMITS of the newest document that was written and not taken back; empty when none was."""
    left = newest_kept(database)
    return empty(LIMITS) if left is None else parse(left.document.encode())


def is_lost(revision: Revision) -> bool:
    """Whether its write was answered with an error, so that it may have arrived or not."""
    return (revision.detail or "").startswith(NOT_WRITTEN)


@step(
    name="publish",
    task_run_name="publish {plan.changes.height} changes",
    # What failed half-way may have been written: only a new look can tell, which is the next run.
    **retry_policy(retries=0, timeout_seconds=60),
)
@threaded
def publish(
    plan: Plan,
    *,
    sink: Sink | None,
    held: Published,
    database: Database,
    run_id: str,
    clock: Callable[[], datetime],
    audit: bool = True,
) -> Publication:
    """Write the plan's document through the sink, when there is something to say.

    Args:
        plan: what to write.
        sink: where to; None in a dry run, which only tells.
        held: what the sink held when the plan was made; a foreign edit since then is a Conflict.
        database: where the revision is kept.
        run_id: of the run that publishes.
        clock: aware UTC.
        audit: whether each changed limit, or that nothing could be written, is an audit entry.

    Raises:
        Conflict: the sink changed since it was read; the next run plans anew.
        ConfigError: the sink cannot be written.
    """
    if plan.problems:
        return Publication(outcome="refused", changes=plan.changes, problems=plan.problems)
    if plan.changes.is_empty():
        return Publication(outcome="nothing", changes=empty(CHANGES))
    if sink is None:
        return Publication(outcome="would", changes=plan.changes)
    if problem := _failed_before(database, plan, now=clock()):
        return Publication(outcome="refused", changes=plan.changes, problems=(problem,))
    revision = _write(
        plan, sink=sink, held=held, database=database, run_id=run_id, clock=clock, audit=audit
    )
    changed = limits_changed(plan.changes, revision=revision, run_id=run_id, at=clock())
    append_audit(database, logged(changed, on=audit))
    return Publication(outcome="written", changes=plan.changes, revision=revision)


def _write(
    plan: Plan,
    *,
    sink: Sink,
    held: Published,
    database: Database,
    run_id: str,
    clock: Callable[[], datetime],
    audit: bool,
) -> int:
    _supersede(database, at=clock(), audit=audit)
    intent = Intent(
        run_id=run_id,
        actor=OPTIMIZER,
        sink=sink.describe(),
        document=plan.document.decode(),
        changes=plan.changes,
        composed=plan.composed,
    )
    revision = begin_revision(database, intent, at=clock())
    try:
        sink.write(plan.document, if_version=held.version)
    except Conflict:
        forget_revision(database, revision=revision)
        raise
    except Exception as exc:
        problem = f"{NOT_WRITTEN}: {exc}"
        entries = [
            publish_failed(
                problem, revision=revision, changes=plan.changes, run_id=run_id, at=clock()
            ),
            *limits_changed(
                _arrived(plan.changes, sink=sink), revision=revision, run_id=run_id, at=clock()
            ),
        ]
        with database.transaction():
            finish_revision(
                database,
                revision=revision,
                outcome="failed",
                detail=problem,
                evidence={},
                at=clock(),
            )
            append_audit(database, logged(entries, on=audit))
        raise
    return revision


def _arrived(wanted: pl.DataFrame, *, sink: Sink) -> pl.DataFrame:
    """The CHANGES that stand there all the same: a sink may have taken a part of them."""
    try:
        document = sink.read().document
        stands = empty(LIMITS) if document is None else parse(document)
    except OptimizerError:
        return wanted.clear()
    found = stands.select("tenant", "limit", stands="value")
    both = wanted.join(found, on=["tenant", "limit"], how="left", maintain_order="left")
    there = pl.col("stands") == pl.col("after")
    gone = pl.col("stands").is_null() & ~pl.col("decided_by").is_not_null()
    return both.filter(there.fill_null(value=False) | gone).select(wanted.columns)


def _supersede(database: Database, *, at: datetime, audit: bool) -> None:
    """A revision still waiting for its proof will never get it once another stands there."""
    waiting = newest_revision(database)
    if waiting is None or waiting.outcome != "intended":
        return
    settled = revision_settled(
        waiting.revision, outcome="inconclusive", detail=SUPERSEDED, run_id=waiting.run_id, at=at
    )
    missing = changes_not_entered(database, waiting, at=at)
    with database.transaction():
        finish_revision(
            database,
            revision=waiting.revision,
            outcome="inconclusive",
            detail=SUPERSEDED,
            evidence={},
            at=at,
        )
        append_audit(database, logged([*missing, settled], on=audit))


def _failed_before(database: Database, plan: Plan, *, now: datetime) -> str | None:
    """Why this is not the time to write it, by what became of the newest revisions.

    A document that Mimir refused is not written again for an hour. Where nothing could be written
    three times in a row, it is tried every five minutes.
    """
    newest = list_revisions(database, newest=_NEWEST)
    unwritten = pl.col("detail").fill_null("").str.starts_with(NOT_WRITTEN)
    refused = newest.filter(
        pl.col("sha256") == digest(plan.document),
        pl.col("outcome").is_in(TAKEN_BACK),
        pl.col("finished_at") > now - RETRY_REFUSED_AFTER,
        ~unwritten,
    )
    if not refused.is_empty():
        found = refused.row(0, named=True)
        return f"revision {found['revision']} had the same content and failed: {found['detail']}"
    tries = newest.head(TRIES_AT_ONCE).filter(unwritten)
    last = tries["finished_at"].max()
    if tries.height < TRIES_AT_ONCE or not isinstance(last, datetime):
        return None
    if last <= now - RETRY_UNWRITTEN_AFTER:
        return None
    minutes = RETRY_UNWRITTEN_AFTER // timedelta(minutes=1)
    found = tries.row(0, named=True)
    return f"revision {found['revision']} was {found['detail']}; tried every {minutes} minutes"
