"""Exact weighted quantiles, one set per key.

The quantile q is the smallest value at which the values up to it have the share q of all weight.
It is always one of the values, never something between two, so it is never above the maximum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

_SLACK: Final = 1e-9  # a share that is reached but for the last bits of a sum is reached


def weighted_quantiles(
    rows: pl.DataFrame, *, value: str, weight: str, shares: Mapping[str, float]
) -> pl.DataFrame:
    """The quantiles of each key.

    Args:
        rows: key, and the columns of value and weight; rows without a value are left out.
        value: the column of values.
        weight: the column of weights, above zero.
        shares: name of a column -> share 0..1.

    Returns:
        key and one column per name, for the keys that have a value.
    """
    ranked = rows.select("key", value=value, weight=weight).drop_nulls("value").sort("key", "value")
    reached = pl.col("weight").cum_sum().over("key")
    whole = pl.col("weight").sum().over("key")
    found = {
        name: pl.when(reached >= whole * (share - _SLACK)).then("value")
        for name, share in shares.items()
    }
    return ranked.select("key", **found).group_by("key", maintain_order=True).agg(pl.all().min())
