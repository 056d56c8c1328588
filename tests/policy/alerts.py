"""Alerts and messages as tests need them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from policy.alerting.alert import Alert, Message

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def alert(incident: str = "breaker:acme", **of: Any) -> Alert:  # noqa: ANN401 - of Alert
    """An alert that lasts, unless it is told otherwise."""
    plain = Alert(
        at=NOON,
        kind="breaker",
        priority="P1",
        component="circuit-breaker",
        incident=incident,
        title="acme blasts: its breaker caps it",
        reason="it sends 40,000 samples/s, usual are 4,000",
        tenant="acme",
        evidence={"samples/s": "40,000"},
        lasts=True,
    )
    return replace(plain, **of)


def message(told: Alert | None = None, **of: Any) -> Message:  # noqa: ANN401 - of Message
    """A message of an alert that fires."""
    about = told or alert()
    plain = Message(
        delivery="0f0e7f3c-2c8b-5d0e-9c7d-3f2b8f1d2a11",
        alert=about,
        state="firing",
        priority=about.priority,
        opened_at=NOON,
        times=1,
        team="payments",
        cluster="mimir-prod",
        run_url="https://prefect.example/runs/flow-run/1",
        runbook_url="https://runbooks.example#breaker",
    )
    return replace(plain, **of)
