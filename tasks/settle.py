"""Settle the newest revision: confirmed by every process, put back, or given up on aloud.

Each look of `protect` at Mimir carries the proof, so nothing waits for it and a restart loses
nothing: a revision whose process died stays `intended` until the next look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import polars as pl
from prefect import task

from policy.document import parse
from policy.effective import EVERYONE
from policy.errors import OptimizerError
from policy.frames import LIMITS, empty
from policy.scrape import Scrape
from policy.settings import Settings
from policy.settings.connection import MimirSettings
from storage.audit import AuditEntry, append_audit
from storage.database import Database
from storage.limits import observed_limits
from storage.revisions import Revision, finish_revision, newest_confirmed
from tasks.collect import first_answer
from tasks.http import client_of
from tasks.mimir import reload_states, runtime_overrides
from tasks.publish import ACTOR, COMPONENT, newest_revision
from tasks.retry import retry_policy
from tasks.sinks.base import Sink
from tasks.verify import (
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of a revision; `line` says it to a person."""

    revision: int
    outcome: Literal["confirmed", "failed", "reverted", "inconclusive"]
    line: str


def waiting_revision(database: Database) -> Revision | None:
    """The newest revision, when it still waits for its proof."""
    newest = newest_revision(database)
    return newest if newest is not None and newest.outcome == "intended" else None


@task(
    name="settle",
    task_run_name="settle revision {revision.revision}",
    **retry_policy(retries=1, timeout_seconds=60),
)
async def settle(
    revision: Revision,
    *,
    seen: Scrape,
    settings: Settings,
    sink: Sink | None,
    hashes_before: Mapping[str, str | None],
    database: Database,
    clock: Callable[[], datetime],
) -> Settled | None:
    """Judge the revision by this scrape; None while it is too early to tell.

    Args:
        revision: one that is `intended`.
        seen: a scrape of all processes.
        settings: where to read the values in force, and how long the proof may take.
        sink: where a refused document is taken out again; None in a dry run.
        hashes_before: what each pod had loaded before the revision was written.
        database: where the outcome is stored.
        clock: aware UTC.
    """
    verdict = judge(
        _expectation(revision, database=database, hashes_before=hashes_before),
        seen=await _look(seen, settings.mimir),
    )
    unheard = sorted(seen.failed)
    if unheard and not isinstance(verdict, Failed):
        verdict = Inconclusive(detail=f"not heard of: {', '.join(unheard)}")
    young = clock() - revision.at < settings.publish.verify_timeout
    if young and isinstance(verdict, Inconclusive):
        return None
    settled = _settled(revision, verdict=verdict, sink=sink, database=database)
    with database.transaction():
        finish_revision(
            database,
            revision=revision.revision,
            outcome=settled.outcome,
            detail=settled.line,
            evidence={"verdict": type(verdict).__name__},
            at=clock(),
        )
        append_audit(database, [_audit(settled, at=clock(), run_id=revision.run_id)])
    return settled


async def _look(seen: Scrape, mimir: MimirSettings) -> Observation:
    states = [PodState(**row) for row in reload_states(seen).to_dicts()]
    values: pl.DataFrame | None = None
    try:
        async with client_of(mimir) as client:
            # Equal hashes on all pods make one pod's values those of all.
            values = await first_answer(
                seen.answered, lambda url: runtime_overrides(url, client=client)
            )
    except OptimizerError:
        values = None
    return Observation(states=states, values_seen=values)


def _expectation(
    revision: Revision, *, database: Database, hashes_before: Mapping[str, str | None]
) -> Expectation:
    expected = parse(revision.document.encode())
    previous = newest_confirmed(database)
    before = parse(previous.document.encode()) if previous else empty(LIMITS)
    defaults = observed_limits(database).filter(pl.col("tenant") == EVERYONE)
    return Expectation(
        expected=expected,
        removed=before.join(expected, on=["tenant", "limit"], how="anti"),
        hash_before=hashes_before,
        defaults=dict(defaults.select("limit", "value").iter_rows()),
    )


def _settled(
    revision: Revision, *, verdict: Verdict, sink: Sink | None, database: Database
) -> Settled:
    number = revision.revision
    match verdict:
        case Confirmed():
            line = f"revision {number} confirmed: {verdict.evidence}"
            return Settled(revision=number, outcome="confirmed", line=line)
        case Inconclusive():
            line = f"revision {number} inconclusive, it stays in place: {verdict.detail}"
            return Settled(revision=number, outcome="inconclusive", line=line)
        case Failed():
            return _taken_back(revision, verdict=verdict, sink=sink, database=database)


def _taken_back(
    revision: Revision, *, verdict: Failed, sink: Sink | None, database: Database
) -> Settled:
    number = revision.revision
    previous = newest_confirmed(database)
    failed = f"revision {number} failed: {verdict.detail}"
    if sink is None or previous is None:
        return Settled(revision=number, outcome="failed", line=f"{failed}; nothing to put back")
    held = sink.read()
    ours = held.document == revision.document.encode()
    if not ours or not put_back(sink, previous=previous.document.encode(), if_version=held.version):
        line = f"{failed}; {sink.describe()} was changed by someone else since and is left alone"
        return Settled(revision=number, outcome="failed", line=line)
    line = f"{failed}; revision {previous.revision} was put back"
    return Settled(revision=number, outcome="reverted", line=line)


def _audit(settled: Settled, *, at: datetime, run_id: str | None) -> AuditEntry:
    return AuditEntry(
        at=at,
        category="system",
        component=COMPONENT,
        action=f"revision_{settled.outcome}",
        actor=ACTOR,
        run_id=run_id,
        success=settled.outcome == "confirmed",
        details={"revision": settled.revision, "detail": settled.line},
    )
