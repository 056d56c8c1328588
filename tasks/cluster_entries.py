"""What is entered into the audit when all tenants together ask for far more than usual."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

import polars as pl

from policy.audit import AuditEntry
from tasks.audit_entries import OPTIMIZER


def rises_turned(
    *, begins: pl.DataFrame, over: pl.DataFrame, run_id: str, at: datetime
) -> Iterator[AuditEntry]:
    """One entry per rise (RISES) that begins, and per one that is over."""
    for action, rows in (("cluster_rise_began", begins), ("cluster_rise_over", over)):
        for row in rows.iter_rows(named=True):
            yield AuditEntry(
                at=at,
                category="security",
                component="cluster",
                action=action,
                actor=OPTIMIZER,
                run_id=run_id,
                success=True,
                details={
                    "kind": row["kind"],
                    "value": row["value"],
                    "usual": row["usual"],
                    "z": row["z"],
                    "tenants": json.loads(row["tenants"]),
                    "grown": row["grown"],
                    "reason": row["because"],
                },
            )
