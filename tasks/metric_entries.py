"""What is entered into the audit of the metrics that a blast is of."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import polars as pl

from policy.audit import AuditEntry
from tasks.audit_entries import OPTIMIZER


def metrics_named(answers: pl.DataFrame, *, run_id: str, at: datetime) -> Iterator[AuditEntry]:
    """One entry per tenant whose metrics were told (TOP_METRICS)."""
    for (tenant,), rows in answers.group_by("tenant", maintain_order=True):
        yield AuditEntry(
            at=at,
            category="security",
            component="breaker",
            action="breaker_metrics_named",
            tenant=str(tenant),
            actor=OPTIMIZER,
            run_id=run_id,
            success=True,
            details={
                "metrics": dict(rows.select("metric", "series").iter_rows()),
                "series": rows["total"][0],
            },
        )
