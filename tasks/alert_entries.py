"""What is entered into the audit of alerting itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from policy.audit import AuditEntry
from storage.outbox import Due
from tasks.audit_entries import OPTIMIZER, Turn

_COMPONENT: Final = "alerting"


@dataclass(frozen=True, slots=True, kw_only=True)
class TryOutcome:
    """What became of a try: how long it took, why it failed, and whether it was the last one."""

    seconds: float
    problem: str | None
    given_up: bool


def delivery_tried(
    message: Due, *, channel: str, outcome: TryOutcome, run_id: str, at: datetime
) -> AuditEntry:
    """A channel took a message, or did not."""
    failed = "alert_given_up" if outcome.given_up else "alert_failed"
    action = failed if outcome.problem else "alert_sent"
    return AuditEntry(
        at=at,
        category="system",
        component=_COMPONENT,
        action=action,
        actor=OPTIMIZER,
        run_id=run_id,
        success=outcome.problem is None,
        details={
            "channel": channel,
            "address": message.address or None,
            "delivery": message.delivery,
            "kind": message.kind,
            "priority": message.priority,
            "tells": message.tells,
            "attempt": message.attempts + 1,
            "seconds": round(outcome.seconds, 3),
            "detail": outcome.problem,
        },
    )


def channel_turned(turn: Turn, *, channel: str, run_id: str, at: datetime) -> AuditEntry:
    """A channel cannot be used any more, or can again."""
    return AuditEntry(
        at=at,
        category="system",
        component=_COMPONENT,
        action="channel_up" if turn.works else "channel_down",
        actor=OPTIMIZER,
        run_id=run_id,
        success=turn.works,
        details={"channel": channel, "detail": turn.problem},
    )
