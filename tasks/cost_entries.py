"""What is entered into the audit of costs and budgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

import polars as pl

from storage.audit import AuditEntry
from tasks.audit_entries import OPTIMIZER

_COMPONENT: Final = "cost"
_BEGAN: Final = {
    "threshold": "budget_crossed",
    "burn": "budget_burning",
    "anomaly": "cost_unusual",
}


def alerts_began(began: pl.DataFrame, *, run_id: str, at: datetime) -> Iterator[AuditEntry]:
    """One entry per alert (ALERTS) that began."""
    for alert in began.iter_rows(named=True):
        yield _of(alert, action=_BEGAN[alert["kind"]], run_id=run_id, at=at)


def alerts_over(over: pl.DataFrame, *, run_id: str, at: datetime) -> Iterator[AuditEntry]:
    """One entry per alert (ALERTS) that is over within its period."""
    for alert in over.iter_rows(named=True):
        yield _of(alert, action="cost_alert_over", run_id=run_id, at=at)


def _of(alert: Mapping[str, object], *, action: str, run_id: str, at: datetime) -> AuditEntry:
    return _entry(
        action,
        tenant=str(alert["name"]) if alert["scope"] == "tenant" else None,
        details={
            "kind": alert["kind"],
            "scope": alert["scope"],
            "name": alert["name"],
            "period": alert["unit"],
            "threshold": alert["threshold"],
            "severity": alert["severity"],
            "reason": alert["because"],
        },
        run_id=run_id,
        at=at,
    )


def _entry(
    action: str,
    *,
    tenant: str | None,
    details: Mapping[str, object],
    run_id: str,
    at: datetime,
) -> AuditEntry:
    return AuditEntry(
        at=at,
        category="cost",
        component=_COMPONENT,
        action=action,
        tenant=tenant,
        actor=OPTIMIZER,
        run_id=run_id,
        success=True,
        details=details,
    )
