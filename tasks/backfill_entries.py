"""What is entered into the audit of a backfill."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from policy.audit import AuditEntry
from tasks.audit_entries import OPERATOR


def backfilled_days(
    marks: pl.DataFrame, *, origin: str, again: bool, run_id: str, at: datetime
) -> AuditEntry:
    """Somebody had costs of past days made from usage that we did not measure.

    Args:
        marks: MARKS of the days that were stored.
        origin: where the usage came from.
        again: also days that had been stored before.
        run_id: of the run.
        at: when, aware UTC.
    """
    first, last = marks["day"].min(), marks["day"].max()
    return AuditEntry(
        at=at,
        category="cost",
        component="backfill",
        action="backfill_ended",
        tenant=None,
        actor=OPERATOR,
        run_id=run_id,
        success=True,
        details={
            "origin": origin,
            "days": marks.height,
            "first": None if first is None else str(first),
            "last": None if last is None else str(last),
            "rows": int(marks["rows"].sum()),
            "again": again,
        },
    )
