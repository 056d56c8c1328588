"""Settle the newest revision: confirmed by every process, put back, or given up on aloud.

Each look of `protect` at Mimir carries the proof, so nothing waits for it and a restart loses
nothing: a revision whose process died stays `intended` until the next look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.audit import AuditEntry, logged
from policy.changes import changes
from policy.document import parse
from policy.effective import EVERYONE, beneath
from policy.errors import OptimizerError
from policy.frames import CHANGES, LIMITS, empty
from policy.scrape import Scrape
from policy.settings import Settings
from storage.audit import append_audit
from storage.database import Database
from storage.limits import observed_limits
from storage.revisions import Outcome, Revision, finish_revision, newest_confirmed
from tasks.answers import first_answer
from tasks.audit_entries import changes_not_entered, limits_changed, revision_settled
from tasks.discover import discover
from tasks.http import client_of
from tasks.mimir import reload_states, runtime_overrides
from tasks.retry import retry_policy
from tasks.sinks.base import Published, Sink
from tasks.step import step
from tasks.verify import (
    Before,
    Confirmed,
    Expectation,
    Failed,
    Inconclusive,
    Observation,
    PodState,
    Verdict,
    judge,
    put_back,
)

REVISITED_FOR: Final = timedelta(hours=1)
WITHOUT_SINK: Final = timedelta(seconds=90)  # a dry run that finds what was published before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of a revision; `line` says it to a person, `put_back` is what stands instead."""

    revision: int
    outcome: Outcome
    line: str
    put_back: Revision | None = None


def waiting_revision(newest: Revision | None, *, now: datetime) -> Revision | None:
    """The revision that was begun last, when a look at Mimir may still say more of it.

    One that was given up on stays in place, so for an hour the pods that were away may still
    prove it, or refuse it.
    """
    if newest is None:
        return None
    revisited = newest.outcome == "inconclusive" and now - newest.at < REVISITED_FOR
    return newest if newest.outcome == "intended" or revisited else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where a refused document is taken out again.

    Attributes:
        sink: where it was published.
        open: gives what that holds, as the one read it who may write there; None where we may not:
            then nothing can be put back, and a refusal waits for who may.
    """

    sink: Sink
    open: Callable[[], Published | None]


@step(
    name="settle",
    task_run_name="settle revision {revision.revision}",
    **retry_policy(retries=1, timeout_seconds=60),
)
async def settle(
    revision: Revision,
    *,
    seen: Scrape,
    settings: Settings,
    desk: Desk | None,
    before: Before | None,
    database: Database,
    clock: Callable[[], datetime],
) -> Settled | None:
    """Judge the revision by this scrape; None while there is nothing new to tell.

    Args:
        revision: one that waits, as `waiting_revision` gives it.
        seen: a scrape of all processes.
        settings: where to read the values in force, and how long the proof may take.
        desk: where a refused document is taken out again; None in a dry run.
        before: what the pods said before the newest revision was written; None after a restart.
        database: where the outcome is stored.
        clock: aware UTC.
    """
    if seen.at <= revision.at:
        return None  # another flow wrote it after this look
    overdue = _overdue(revision, settings=settings, desk=desk, now=clock())
    verdict = judge(
        _expectation(revision, database=database, before=before, known=_known(seen)),
        seen=await _look(seen, settings, clock=clock),
        overdue=overdue,
    )
    unheard = sorted(seen.failed)
    if unheard and not isinstance(verdict, Failed):
        verdict = Inconclusive(detail=f"not heard of: {', '.join(unheard)}")
    said = revision.outcome == "inconclusive"
    if isinstance(verdict, Inconclusive) and (said or not overdue):
        return None
    settled = await asyncio.to_thread(
        _settled, revision, verdict=verdict, desk=desk, database=database
    )
    if settled is None:
        return None
    with database.transaction():
        finish_revision(
            database,
            revision=revision.revision,
            outcome=settled.outcome,
            detail=settled.line,
            evidence={"verdict": type(verdict).__name__},
            at=clock(),
        )
        entries = _entries(revision, settled, database=database, at=clock())
        append_audit(database, logged(entries, on=settings.audit_log.enabled))
    return settled


def _overdue(revision: Revision, *, settings: Settings, desk: Desk | None, now: datetime) -> bool:
    """Whether every process should have loaded it by now; never, where a person merges it."""
    needed = WITHOUT_SINK if desk is None else desk.sink.arrives_within
    allowed = settings.publish.verify_timeout or needed
    return allowed is not None and now - revision.at >= allowed


def pod_states(seen: Scrape) -> list[PodState]:
    """What each pod that answered says of its runtime file."""
    return [PodState(**row) for row in reload_states(seen).to_dicts()]


async def _look(seen: Scrape, settings: Settings, *, clock: Callable[[], datetime]) -> Observation:
    states = pod_states(seen)
    values: pl.DataFrame | None = None
    if seen.failed:
        return Observation(states=states, values_seen=None)  # nothing is proven without them
    try:
        # A look through PromQL knows the pods, but not where they are asked.
        urls = seen.urls or [pod.url for pod in await discover(settings, clock=clock)]
        async with client_of(settings.mimir) as client:
            # Equal hashes on all pods make one pod's values those of all.
            values = await first_answer(urls, lambda url: runtime_overrides(url, client=client))
    except OptimizerError:
        values = None
    return Observation(states=states, values_seen=values)


def _known(seen: Scrape) -> frozenset[str]:
    return frozenset((*seen.answered, *seen.failed))


def _expectation(
    revision: Revision, *, database: Database, before: Before | None, known: frozenset[str]
) -> Expectation:
    """What to look for; a pod that is not known any more, as after a rollout, is not waited for."""
    expected = parse(revision.document.encode())
    previous = newest_confirmed(database)
    said_before = parse(previous.document.encode()) if previous else empty(LIMITS)
    told = before if before is not None and before.revision == revision.revision else None
    hashes = told.hashes if told else {}
    defaults = observed_limits(database).filter(pl.col("tenant") == EVERYONE)
    return Expectation(
        expected=expected,
        removed=said_before.join(expected, on=["tenant", "limit"], how="anti"),
        hash_before={pod: sha256 for pod, sha256 in hashes.items() if pod in known},
        refusing_before=told.refusing if told else frozenset(),
        defaults=dict(defaults.select("limit", "value").iter_rows()),
    )


def _settled(
    revision: Revision, *, verdict: Verdict, desk: Desk | None, database: Database
) -> Settled | None:
    number = revision.revision
    match verdict:
        case Confirmed():
            line = f"revision {number} confirmed: {verdict.evidence}"
            return Settled(revision=number, outcome="confirmed", line=line)
        case Inconclusive():
            line = f"revision {number} inconclusive, it stays in place: {verdict.detail}"
            return Settled(revision=number, outcome="inconclusive", line=line)
        case Failed():
            return _taken_back(revision, verdict=verdict, desk=desk, database=database)


def _taken_back(
    revision: Revision, *, verdict: Failed, desk: Desk | None, database: Database
) -> Settled | None:
    number = revision.revision
    previous = newest_confirmed(database)
    failed = f"revision {number} failed: {verdict.detail}"
    if previous is None:
        return Settled(revision=number, outcome="failed", line=f"{failed}; nothing to put back")
    if desk is None:
        line = f"{failed}; nothing is written in a dry run: put revision {previous.revision} back"
        return Settled(revision=number, outcome="failed", line=line)
    good = previous.document.encode()
    sink, held = desk.sink, desk.open()
    if held is None:
        return None
    # Where a run died between putting back and saying so, it is back already.
    there = held.document == good
    ours = held.document == revision.document.encode()
    if there or (ours and put_back(sink, previous=good, if_version=held.version)):
        line = f"{failed}; revision {previous.revision} was put back"
        return Settled(revision=number, outcome="reverted", line=line, put_back=previous)
    line = f"{failed}; {sink.describe()} holds another document by now and is left alone"
    return Settled(revision=number, outcome="failed", line=line)


def _entries(
    revision: Revision, settled: Settled, *, database: Database, at: datetime
) -> list[AuditEntry]:
    """What the audit tells of it: the outcome, and what was changed and nobody has entered yet.

    A process that died right after it had written has entered nothing. What is put back is a
    change of its own.
    """
    number, run_id = revision.revision, revision.run_id
    found = []
    found += changes_not_entered(database, revision, at=at)
    if settled.put_back is not None:
        back = _undone(revision, previous=settled.put_back, database=database)
        found += limits_changed(back, revision=settled.put_back.revision, run_id=run_id, at=at)
    outcome = revision_settled(
        number, outcome=settled.outcome, detail=settled.line, run_id=run_id, at=at
    )
    return [*found, outcome]


def _undone(revision: Revision, *, previous: Revision, database: Database) -> pl.DataFrame:
    """CHANGES that the put back document makes, as Mimir sees them."""
    refused, good = (parse(each.document.encode()) for each in (revision, previous))
    found = changes(refused, after=good)
    own = beneath(
        observed_limits(database), tenants=found["tenant"], limits=found["limit"].unique().to_list()
    ).select("tenant", "limit", own="value")
    return (
        found.join(own, on=["tenant", "limit"], how="left", maintain_order="left")
        .with_columns(
            before=pl.coalesce("before", "own"),
            after=pl.coalesce("after", "own"),
            reason=pl.lit(f"revision {revision.revision} was refused"),
        )
        .select(CHANGES.names())
    )
