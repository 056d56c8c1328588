"""What is entered into the audit of costs and budgets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

import polars as pl

from policy.audit import AuditEntry
from tasks.audit_entries import OPTIMIZER

MOST_NAMED: Final = 20
_COMPONENT: Final = "cost"
_BEGAN: Final = {
    "threshold": "budget_crossed",
    "burn": "budget_burning",
    "forecast": "budget_will_exceed",
    "anomaly": "cost_unusual",
}


def alerts_began(began: pl.DataFrame, *, run_id: str, at: datetime) -> Iterator[AuditEntry]:
    """One entry per alert (ALERTS) that began."""
    for alert in began.iter_rows(named=True):
        yield _of(alert, action=_BEGAN[alert["kind"]], run_id=run_id, at=at)


def alerts_over(over: pl.DataFrame, *, run_id: str, at: datetime) -> Iterator[AuditEntry]:
    """One entry per kind and budget of which no alert (ALERTS) is left."""
    for alert in over.iter_rows(named=True):
        past = {**alert, "because": f"no longer: {alert['because']}"}
        yield _of(past, action="cost_alert_over", run_id=run_id, at=at)


def savings_found(news: pl.DataFrame, *, currency: str, run_id: str, at: datetime) -> AuditEntry:
    """There are recommendations (SAVINGS) that did not stand at the run before."""
    exposure = news["exposure"].sum() if news["exposure"].count() else None
    return _entry(
        "savings_found",
        tenant=None,
        details={
            "new": news.height,
            "kinds": dict(news.group_by("kind").len().sort("kind").iter_rows()),
            "exposure": None if exposure is None else f"{exposure:,.2f} {currency} a month",
            "tenants": sorted(news["tenant"].unique())[:MOST_NAMED],
            "reason": news["because"][0],
        },
        run_id=run_id,
        at=at,
    )


def budgets_enforced(
    caps: pl.DataFrame, *, acting: bool, run_id: str, at: datetime
) -> Iterator[AuditEntry]:
    """One entry per tenant whose limits a budget caps from now on, or otherwise than before.

    Args:
        caps: LAYERS of these tenants.
        acting: whether they are capped; else it is told that they would be.
        run_id: of the run.
        at: when, aware UTC.
    """
    for (tenant,), its in caps.group_by("tenant", maintain_order=True):
        details = {
            "limits": dict(its.select("limit", "value").iter_rows()),
            "reason": its["reason"][0],
            "until": its["expires_at"][0].isoformat(),
            "acting": acting,
        }
        yield _entry("budget_enforced", tenant=str(tenant), details=details, run_id=run_id, at=at)


def budgets_lifted(
    tenants: Iterable[str], *, reason: str, run_id: str, at: datetime
) -> Iterator[AuditEntry]:
    """One entry per tenant whose limits no budget caps any more."""
    for tenant in tenants:
        yield _entry(
            "budget_lifted", tenant=tenant, details={"reason": reason}, run_id=run_id, at=at
        )


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
