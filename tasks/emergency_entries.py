"""What is entered into the audit of an emergency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from policy.audit import AuditEntry
from policy.emergency.machine import Event
from policy.emergency.state import State
from tasks.audit_entries import OPTIMIZER

_COMPONENT: Final = "emergency"
_ACTIONS: Final = {
    "raised": "emergency_raised",
    "calmed": "emergency_over",
    "recovered": "emergency_over",
    "relapsed": "recovery_broken_off",
    "squeezed": "emergency_squeezed",
    "stepped": "recovery_step",
    "stepped_back": "recovery_step_back",
    "blind": "emergency_unmeasured",
    "sighted": "emergency_measured",
}


def emergency_turned(
    events: Sequence[Event], *, state: State, simulated: bool, run_id: str, at: datetime
) -> Iterator[AuditEntry]:
    """One entry per event.

    Args:
        events: what happened in this look.
        state: the state after it.
        simulated: nothing was done of what the state says: a dry run.
        run_id: of the run.
        at: when, aware UTC.
    """
    for event in events:
        details: dict[str, object] = {
            "level": state.level,
            "phase": state.phase,
            "reason": event.why or None,
            "actions": dict(state.actions),
            "restored": state.restored,
            "squeezed": state.squeeze,
            "simulated": simulated,
        }
        yield _entry(_ACTIONS[event.kind], details=details, run_id=run_id, at=at)


def garbage_collected(
    answers: Mapping[str, str | None], *, run_id: str, at: datetime
) -> Iterator[AuditEntry]:
    """One entry per process that was asked; the answer is why it was not done, None: it was."""
    for pod, problem in answers.items():
        details: dict[str, object] = {"process": pod, "detail": problem}
        yield _entry("garbage_collected", details=details, run_id=run_id, at=at, works=not problem)


def emergency_switched_off(*, run_id: str, at: datetime) -> AuditEntry:
    """The settings switched the emergency levels off while one was on."""
    details: dict[str, object] = {"reason": "emergency.enabled is false"}
    return _entry("emergency_over", details=details, run_id=run_id, at=at)


def _entry(
    action: str, *, details: Mapping[str, object], run_id: str, at: datetime, works: bool = True
) -> AuditEntry:
    return AuditEntry(
        at=at,
        category="security",
        component=_COMPONENT,
        action=action,
        actor=OPTIMIZER,
        run_id=run_id,
        success=works,
        details=details,
    )
