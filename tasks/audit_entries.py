"""What is entered into the audit, and with which words; `docs/audit.md` lists every action."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import polars as pl

from policy.audit import AuditEntry
from policy.frames import CHANGES
from policy.scrape import Scrape
from storage.audit import changes_entered as is_entered
from storage.database import Database
from storage.revisions import Outcome, Revision
from storage.runs import Run

OPTIMIZER: Final = "optimizer"
OPERATOR: Final = "operator"  # whoever may write the settings; nobody tells us the name
SOMEBODY: Final = "somebody else"  # whoever writes to the sink beside us
MOST_PROBLEMS: Final = 20

_PUBLISH: Final = "publish"
_BREAKER: Final = "breaker"
_SETTINGS: Final = "settings"
_AUDIT: Final = "audit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Something failed, or works again; `problem` is why it fails, or failed."""

    works: bool
    problem: str


def limits_changed(
    changes: pl.DataFrame, *, revision: int, run_id: str | None, at: datetime
) -> list[AuditEntry]:
    """One entry per changed limit.

    Args:
        changes: CHANGES as Mimir saw and sees them; a null `after`: nothing of ours any more.
        revision: the document that changed them.
        run_id: of the run that did.
        at: when, aware UTC.
    """
    return [
        AuditEntry(
            at=at,
            category="system",
            component=_PUBLISH,
            action="limit_changed",
            tenant=change["tenant"],
            actor=OPTIMIZER,
            run_id=run_id,
            success=True,
            details={
                "revision": revision,
                "limit": change["limit"],
                "before": change["before"],
                "after": change["after"],
                "decided_by": change["decided_by"],
                "reason": change["reason"],
            },
        )
        for change in changes.iter_rows(named=True)
    ]


def drifted_limits(
    changes: pl.DataFrame,
    *,
    action: Literal["drift_put_back", "drift_respected"],
    sink: str,
    run_id: str,
    at: datetime,
) -> list[AuditEntry]:
    """One entry per limit that somebody else changed in our document (CHANGES)."""
    return [
        AuditEntry(
            at=at,
            category="user",
            component="drift",
            action=action,
            tenant=tenant,
            actor=SOMEBODY,
            run_id=run_id,
            success=True,
            details={"limit": limit, "before": before, "after": after, "sink": sink},
        )
        for tenant, limit, before, after in changes.select(
            "tenant", "limit", "before", "after"
        ).iter_rows()
    ]


def changes_not_entered(
    database: Database, revision: Revision, *, at: datetime
) -> list[AuditEntry]:
    """The entries of what a revision of ours changed, where whoever wrote it died too early."""
    if revision.actor != OPTIMIZER or is_entered(
        database, revision=revision.revision, since=revision.at
    ):
        return []
    written = pl.DataFrame(json.loads(revision.changes), schema=CHANGES)
    return limits_changed(written, revision=revision.revision, run_id=revision.run_id, at=at)


def revision_settled(
    revision: int, *, outcome: Outcome, detail: str, run_id: str | None, at: datetime
) -> AuditEntry:
    """What became of a document; `run_id` is of the run that wrote it."""
    return AuditEntry(
        at=at,
        category="system",
        component=_PUBLISH,
        action=f"revision_{outcome}",
        actor=OPTIMIZER,
        run_id=run_id,
        success=outcome == "confirmed",
        details={"revision": revision, "detail": detail},
    )


def publish_failed(
    problem: str, *, revision: int, changes: pl.DataFrame, run_id: str, at: datetime
) -> AuditEntry:
    """A document could not be written: nothing of it is in force."""
    return AuditEntry(
        at=at,
        category="system",
        component=_PUBLISH,
        action="publish_failed",
        actor=OPTIMIZER,
        run_id=run_id,
        success=False,
        details={"revision": revision, "changes": changes.height, "detail": problem},
    )


def publish_refused(
    problems: tuple[str, ...], *, changes: pl.DataFrame, run_id: str, at: datetime
) -> AuditEntry:
    """A document was held back before anything was written."""
    return AuditEntry(
        at=at,
        category="system",
        component=_PUBLISH,
        action="publish_refused",
        actor=OPTIMIZER,
        run_id=run_id,
        success=False,
        details={
            "changes": changes.height,
            "problems": list(problems[:MOST_PROBLEMS]),
            "more_problems": max(0, len(problems) - MOST_PROBLEMS),
        },
    )


def publish_accepted(*, run_id: str, at: datetime) -> AuditEntry:
    """What was to be published is held back no more."""
    return AuditEntry(
        at=at,
        category="system",
        component=_PUBLISH,
        action="publish_accepted",
        actor=OPTIMIZER,
        run_id=run_id,
        success=True,
        details={},
    )


def run_turned(turn: Turn, *, record: Run, at: datetime) -> AuditEntry:
    """A run failed that had worked, or works again."""
    return AuditEntry(
        at=at,
        category="performance",
        component=record.flow,
        action="run_recovered" if turn.works else "run_failed",
        actor=OPTIMIZER,
        run_id=record.run_id,
        success=turn.works,
        details={"detail": turn.problem},
    )


def collection_turned(seen: Scrape, *, since: datetime, run_id: str, at: datetime) -> AuditEntry:
    """Processes of Mimir have not answered for a while, or all of them do again."""
    silent = sorted(seen.failed.items())
    return AuditEntry(
        at=at,
        category="performance",
        component="collection",
        action="collection_degraded" if silent else "collection_whole",
        actor=OPTIMIZER,
        run_id=run_id,
        success=not silent,
        details={
            "silent": len(silent),
            "known": len(seen.answered) + len(silent),
            "since": since.isoformat(timespec="seconds"),
            "problems": [f"{pod}: {why}" for pod, why in silent[:MOST_PROBLEMS]],
        },
    )


def export_turned(turn: Turn, *, target: str, at: datetime) -> AuditEntry:
    """The audit cannot be handed to where it should go, or can again."""
    return AuditEntry(
        at=at,
        category="performance",
        component=_AUDIT,
        action="export_recovered" if turn.works else "export_failed",
        actor=OPTIMIZER,
        success=turn.works,
        details={"target": target, "detail": turn.problem},
    )


def entries_dropped(gone: list[datetime], *, run_id: str, at: datetime) -> AuditEntry:
    """Entries went before their time."""
    return AuditEntry(
        at=at,
        category="system",
        component=_AUDIT,
        action="entries_dropped",
        actor=OPTIMIZER,
        run_id=run_id,
        success=True,
        details={
            "entries": len(gone),
            "oldest": min(gone).isoformat(),
            "newest": max(gone).isoformat(),
            "reason": "the audit log was fuller than auditLog.emergencyThreshold allows",
        },
    )


def lowerings_reverted(decisions: pl.DataFrame, *, run_id: str, flow: str) -> list[AuditEntry]:
    """One entry per lowering (DECISIONS) that refused something and is taken back."""
    return [
        AuditEntry(
            at=decision["at"],
            category="performance",
            component=flow,
            action="lowering_reverted",
            tenant=decision["tenant"],
            actor=OPTIMIZER,
            run_id=run_id,
            success=True,
            details={
                "limit": decision["limit"],
                "before": decision["before"],
                "after": decision["after"],
                "reason": decision["detail"],
            },
        )
        for decision in decisions.iter_rows(named=True)
    ]


def holds_turned(
    held: pl.DataFrame, *, before: frozenset[str], why_released: str, run_id: str, at: datetime
) -> Iterator[AuditEntry]:
    """One entry per tenant that the breaker holds from now on, or no longer.

    Args:
        held: LAYERS of the breaker.
        before: the tenants that it held in the look before.
        why_released: said of those that it no longer holds.
        run_id: of the run.
        at: when, aware UTC.
    """
    now_held = frozenset(held["tenant"])
    for tenant in sorted(now_held - before):
        its = held.filter(tenant=tenant)
        yield _blast(
            tenant,
            action="tenant_held",
            details={
                "limits": dict(its.select("limit", "value").iter_rows()),
                "reason": its["reason"][0],
            },
            run_id=run_id,
            at=at,
        )
    for tenant in sorted(before - now_held):
        details = {"reason": why_released}
        yield _blast(tenant, action="tenant_released", details=details, run_id=run_id, at=at)


def breakers_turned(
    turns: pl.DataFrame, *, acting: bool, run_id: str, at: datetime
) -> list[AuditEntry]:
    """One entry per breaker that turned (TURNS), and where it caps nobody one per blast.

    Args:
        turns: TURNS.
        acting: whether it caps; else it is told that it would.
        run_id: of the run.
        at: when, aware UTC.
    """
    return [
        _blast(
            turn["tenant"],
            action="breaker_turned",
            details={
                "before": turn["before"],
                "after": turn["after"],
                "kinds": turn["kinds"],
                "reason": turn["because"],
                "acting": acting,
            },
            run_id=run_id,
            at=at,
        )
        for turn in turns.iter_rows(named=True)
    ]


def settings_changed(
    before: Mapping[str, object], after: Mapping[str, object], *, run_id: str, at: datetime
) -> Iterator[AuditEntry]:
    """One entry per key that somebody changed, between two masked trees of settings."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            details = {"key": key, "before": old.get(key), "after": new.get(key)}
            yield _of_settings(
                "settings_changed", details=details, works=True, run_id=run_id, at=at
            )


def settings_turned(turn: Turn, *, run_id: str, at: datetime) -> AuditEntry:
    """A change of the settings cannot be used, or they can be used again."""
    action = "settings_mended" if turn.works else "settings_broken"
    details = {"detail": turn.problem}
    return _of_settings(action, details=details, works=turn.works, run_id=run_id, at=at)


def _blast(
    tenant: str, *, action: str, details: Mapping[str, object], run_id: str, at: datetime
) -> AuditEntry:
    return AuditEntry(
        at=at,
        category="security",
        component=_BREAKER,
        action=action,
        tenant=tenant,
        actor=OPTIMIZER,
        run_id=run_id,
        success=True,
        details=details,
    )


def _of_settings(
    action: str, *, details: Mapping[str, object], works: bool, run_id: str, at: datetime
) -> AuditEntry:
    return AuditEntry(
        at=at,
        category="user",
        component=_SETTINGS,
        action=action,
        actor=OPERATOR,
        run_id=run_id,
        success=works,
        details=details,
    )


def _leaves(tree: Mapping[str, object], *, above: str = "") -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, above=f"{above}{key}.")
        else:
            yield f"{above}{key}", value
