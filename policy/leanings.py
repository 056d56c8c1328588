"""How often in a row the evidence has pointed downwards, and what was changed lately.

One look that asks for less proves little, so a limit is lowered only when several runs agree.
"""

from __future__ import annotations

from typing import Final

import polars as pl

# How many runs in a row a limit was found to be too high, up to the newest one.
LEANINGS: Final = pl.Schema({"tenant": pl.String(), "limit": pl.String(), "runs": pl.Int64()})

_KEYS: Final = ["tenant", "limit"]


def leaning(decisions: pl.DataFrame, *, falls: pl.Series, before: pl.DataFrame) -> pl.DataFrame:
    """The leanings after these decisions.

    Args:
        decisions: tenant, limit.
        falls: whether each of them points downwards.
        before: LEANINGS of the run before.

    Returns:
        LEANINGS of those that point downwards; the others begin anew.
    """
    down = decisions.filter(falls).select(_KEYS)
    return (
        down.join(before, on=_KEYS, how="left")
        .with_columns(runs=pl.col("runs").fill_null(0) + 1)
        .select(LEANINGS.names())
        .cast(LEANINGS)
    )
