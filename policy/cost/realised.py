"""What became of recommendations that somebody followed."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import polars as pl

from policy.cost.budgets import MONEY
from policy.cost.recommendation import month_price

NEAR: Final = 1.1
"""How far above its target a limit may be and be where it was to go."""
COMPONENT_OF: Final[Mapping[str, str]] = {"churn": "series", "duplicate samples": "samples"}
"""What costs less where such a recommendation is followed."""
OF_LIMITS: Final = ("unused quota", "idle tenant")

# A recommendation that was followed: `value` as it was, `reached` as it is, null where it is no
# limit; `exposure` is what the worst bill fell by, of a month.
FOLLOWED: Final = pl.Schema(
    {
        "kind": pl.String(),
        "tenant": pl.String(),
        "limit": pl.String(),
        "value": pl.Float64(),
        "reached": pl.Float64(),
        "exposure": MONEY,
    }
)
_KEYS: Final = ("kind", "tenant", "limit")


def followed(
    before: pl.DataFrame,
    found: pl.DataFrame,
    *,
    standings: pl.DataFrame,
    known: pl.DataFrame,
    month_of: Mapping[str, Decimal],
) -> pl.DataFrame:
    """FOLLOWED: what was recommended, is no longer, and came to what it asked for.

    Args:
        before: SAVINGS of the run before.
        found: SAVINGS now.
        standings: STANDINGS now.
        known: the tenants of which it is known what they send, column tenant: of one that is gone,
            nobody knows what it would do.
        month_of: see `recommendation.month_of`.
    """
    gone = before.join(found, on=_KEYS, how="anti", nulls_equal=True)
    now = standings.select("tenant", "limit", reached="value")
    lowered = (
        gone.filter(pl.col("kind").is_in(OF_LIMITS))
        .join(now, on=["tenant", "limit"])
        .filter(pl.col("reached") <= pl.col("target") * NEAR)
        .with_columns(
            exposure=(
                (pl.col("value") - pl.col("reached")).cast(MONEY)
                * month_price(pl.col("limit"), month_of=month_of)
            ).cast(MONEY)
        )
    )
    mended = (
        gone.filter(pl.col("kind").is_in(list(COMPONENT_OF)))
        .join(known, on="tenant", how="semi")
        .with_columns(
            reached=pl.lit(None, dtype=pl.Float64), exposure=pl.lit(Decimal(0), dtype=MONEY)
        )
    )
    return pl.concat([each.select(FOLLOWED.names()) for each in (lowered, mended)]).cast(FOLLOWED)
