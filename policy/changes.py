"""What differs between two sets of limits, by meaning: 1500 and 1500.0 are the same."""

from __future__ import annotations

from typing import Final

import polars as pl

from policy.frames import CHANGES, COMPOSED

_SAME_WITHIN: Final = 1e-9  # a relative difference that is only the text of a float


def changes(before: pl.DataFrame, *, after: pl.DataFrame) -> pl.DataFrame:
    """The limits that were added, removed or given another value.

    Args:
        before: LIMITS, as published.
        after: LIMITS, or COMPOSED, which also says who decided and why.

    Returns:
        CHANGES, sorted by tenant and limit; empty when there is nothing to write.
    """
    missing = [name for name in ("decided_by", "reason") if name not in after.columns]
    new = after.with_columns(
        pl.lit(None, dtype=COMPOSED[name]).alias(name) for name in missing
    ).select("tenant", "limit", "decided_by", "reason", after="value")
    both = before.select("tenant", "limit", before="value").join(
        new, on=["tenant", "limit"], how="full", coalesce=True
    )

    old, now = pl.col("before"), pl.col("after")
    far = (old - now).abs() > _SAME_WITHIN * pl.max_horizontal(old.abs(), now.abs())
    gone = now.is_null()
    return (
        both.filter(old.is_null() | gone | far.fill_null(value=False))
        .with_columns(
            reason=pl.when(gone)
            .then(pl.lit("no layer says anything of it any more; the operator's own value holds"))
            .otherwise("reason")
        )
        .select(CHANGES.names())
        .cast(CHANGES)
        .sort("tenant", "limit")
    )
