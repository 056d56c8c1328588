"""What is entered into the audit of what creeps up day by day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import polars as pl

from policy.audit import AuditEntry
from tasks.audit_entries import OPTIMIZER


def leaks_turned(
    *, begins: pl.DataFrame, over: pl.DataFrame, run_id: str, at: datetime
) -> Iterator[AuditEntry]:
    """One entry per leak or growth that begins, and per one that is over.

    Args:
        begins: LEAKS that are told for the first time.
        over: LEAKS that rise no more.
        run_id: of the run.
        at: when, aware UTC.
    """
    for action, rows in (("leak_began", begins), ("leak_over", over)):
        for row in rows.iter_rows(named=True):
            reached = row["reached_at"]
            yield AuditEntry(
                at=at,
                category="performance",
                component="leak",
                action=action,
                tenant=row["tenant"],
                actor=OPTIMIZER,
                run_id=run_id,
                success=True,
                details={
                    "signal": row["signal"],
                    "kind": row["kind"],
                    "since": row["began_at"].isoformat(),
                    "from": row["from_value"],
                    "to": row["to_value"],
                    "per_day": row["per_day"],
                    "limit": row["allowed"],
                    "reached": reached.isoformat() if reached else None,
                    "reason": row["because"],
                },
            )
