"""Which limits the tenants who go first have proven, so that the others may follow."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl


def proven(
    modes: pl.DataFrame, *, moves: pl.DataFrame, proven_after: timedelta, now: datetime
) -> frozenset[str]:
    """The limits that changed for a tenant in mode canary long enough ago, without turning back.

    Args:
        modes: MODES of this run.
        moves: MOVES.
        proven_after: how long the change must have held.
        now: aware UTC.
    """
    first = modes.filter((pl.col("mode") == "canary") & pl.col("first"))
    moved = first.join(moves, on=["tenant", "limit"]).with_columns(
        moved_at=pl.max_horizontal("raised_at", "lowered_at")
    )
    by_limit = moved.group_by("limit").agg(
        held=(pl.col("moved_at") <= now - proven_after).any(),
        turned=(pl.col("reversals") > 0).any(),
    )
    return frozenset(by_limit.filter(pl.col("held") & ~pl.col("turned"))["limit"])
