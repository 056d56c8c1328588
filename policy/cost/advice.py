"""What to save besides limits that nobody needs: samples sent twice, old blocks, other tiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

import polars as pl

from policy.cost.budgets import MONEY
from policy.cost.recommendation import (
    NOTHING,
    SAVINGS,
    UNKNOWN,
    month_price,
    override,
    quoted,
    recommendation,
)
from policy.figures import grouped
from policy.signals import INGESTION_RATE

SENT_TWICE: Final = 0.01
"""Of the samples that are let in, those that another sender had sent already."""
LEAST_TWICE: Final = 10.0  # samples/s
LEAST_LOGGED_DAYS: Final = 30
"""Of which queries are known, before anybody may say how far back they reach."""
REACH_MARGIN: Final = 1.5
WORTH_IT: Final = 0.5
"""Of what is kept now, the most that a shorter retention may keep to be worth telling."""
_DAY: Final = timedelta(days=1)
_MONTH_DAYS: Final = 30

# Means of the last week, samples/s; null where a signal was not measured.
TWICE: Final = pl.Schema({"tenant": pl.String(), "refused": pl.Float64(), "received": pl.Float64()})
# How far back the queries of a tenant reached on the days of which they are known, in seconds, and
# what its blocks cost in the last 30 days; null where that is not known.
REACH: Final = pl.Schema(
    {"tenant": pl.String(), "days": pl.Int64(), "reach": pl.Float64(), "stored": MONEY}
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Past:
    """What the history tells of tenants.

    Attributes:
        twice: TWICE.
        reach: REACH.
        retention: how long blocks are kept; None: nobody has said.
    """

    twice: pl.DataFrame
    reach: pl.DataFrame
    retention: timedelta | None


def duplicates(past: Past, *, month_of: Mapping[str, Decimal]) -> pl.DataFrame:
    """SAVINGS of samples that are sent twice and refused the second time, let in and paid for."""
    share = pl.col("refused") / pl.col("received")
    rows = past.twice.filter(share >= SENT_TWICE, pl.col("refused") >= LEAST_TWICE).with_columns(
        limit=pl.lit(None, dtype=pl.String)
    )
    price = month_price(pl.lit(INGESTION_RATE), month_of=month_of)
    return recommendation(
        rows,
        kind="duplicate samples",
        exposure=NOTHING,
        avoided=(pl.col("refused").cast(MONEY) * price).cast(MONEY),
        because=pl.format(
            "of {} samples/s that are let in {} were sent already: two senders have one name",
            grouped(pl.col("received")),
            grouped(pl.col("refused")),
        ),
        command=override(pl.lit("accept_ha_samples"), pl.lit("true")),
        value=pl.col("refused"),
        target=pl.lit(0.0),
    )


def shorter_retention(past: Past) -> pl.DataFrame:
    """SAVINGS of blocks that are older than any query asks for, by half as much again."""
    if past.retention is None:
        return SAVINGS.to_frame()
    kept = past.retention / _DAY
    months = (pl.col("reach") / _DAY.total_seconds() * REACH_MARGIN / _MONTH_DAYS).ceil()
    days = pl.max_horizontal(months, pl.lit(1.0)) * _MONTH_DAYS
    rows = past.reach.filter(
        pl.col("days") >= LEAST_LOGGED_DAYS, days <= WORTH_IT * kept
    ).with_columns(limit=pl.lit("compactor_blocks_retention_period"), to=days)
    rest = (1 - pl.col("to") / kept).cast(MONEY)
    month = Decimal("30.4375") / _MONTH_DAYS
    return recommendation(
        rows,
        kind="retention",
        exposure=NOTHING,
        avoided=(pl.col("stored") * rest * pl.lit(month, dtype=MONEY)).cast(MONEY),
        because=pl.format(
            "blocks are kept for {} days, and no query of {} days reached back further than {}",
            pl.lit(f"{kept:g}"),
            pl.col("days").cast(pl.String),
            grouped((pl.col("reach") / _DAY.total_seconds()).round(1)),
        ),
        command=override(pl.col("limit"), pl.format("{}d", pl.col("to").cast(pl.Int64))),
        value=pl.lit(kept),
        target=pl.col("to"),
    )


def other_tiers(
    standings: pl.DataFrame,
    *,
    tiers: pl.DataFrame,
    limits: Mapping[str, Mapping[str, float]],
    month_of: Mapping[str, Decimal],
) -> pl.DataFrame:
    """SAVINGS of tenants whose needs a smaller tier holds, or only a larger one.

    A tier holds a tenant when each of its limits is at least what is recommended for it. Where a
    limit of a tier is not known of the tenant, nobody knows whether the tier holds it.

    Args:
        standings: STANDINGS.
        tiers: columns tenant, tier.
        limits: what each tier gives, by limit, by tier.
        month_of: see `recommendation.month_of`.
    """
    given = pl.DataFrame(
        [
            {"fits": tier, "limit": limit, "gives": float(value)}
            for tier, its in limits.items()
            for limit, value in its.items()
        ],
        schema={"fits": pl.String(), "limit": pl.String(), "gives": pl.Float64()},
    )
    if given.is_empty() or tiers.is_empty():
        return SAVINGS.to_frame()
    needs = standings.select("tenant", "limit", "recommended")
    priced = given.with_columns(month=month_price(pl.col("limit"), month_of=month_of))
    sizes = (
        tiers.drop_nulls("tier")
        .join(priced, how="cross")
        .join(needs, on=["tenant", "limit"], how="left")
        .group_by("tenant", "tier", "fits")
        .agg(
            holds=(pl.col("recommended") <= pl.col("gives")).fill_null(value=False).all(),
            known=pl.col("recommended").is_not_null().all(),
            rate=pl.col("gives").filter(pl.col("limit") == INGESTION_RATE).first(),
            worst=pl.when(pl.col("month").is_not_null().any()).then(
                (pl.col("gives").cast(MONEY) * pl.col("month")).sum()
            ),
        )
    )
    return _moved(sizes)


def _moved(sizes: pl.DataFrame) -> pl.DataFrame:
    own = sizes.filter(pl.col("tier") == pl.col("fits"), "known").select(
        "tenant", "holds", own_rate="rate", own_worst="worst"
    )
    smallest = (
        sizes.filter("known", "holds")
        .drop_nulls("rate")
        .sort("rate", "fits")
        .unique("tenant", keep="first", maintain_order=True)
        .select("tenant", "tier", "fits", "rate", "worst")
    )
    rows = (
        own.join(smallest, on="tenant")
        .filter(pl.col("fits") != pl.col("tier"))
        .filter((pl.col("rate") < pl.col("own_rate")) | ~pl.col("holds"))
        .with_columns(limit=pl.lit(None, dtype=pl.String))
    )
    holds, opened = pl.col("holds"), pl.lit("tenantTierMapping: {")
    return recommendation(
        rows,
        kind="other tier",
        exposure=pl.when(holds).then(pl.col("own_worst") - pl.col("worst")).cast(MONEY),
        avoided=pl.when(holds).then(NOTHING).otherwise(UNKNOWN),
        because=pl.when(holds)
        .then(pl.format("it is in the tier {}, and {} holds all that it needs", "tier", "fits"))
        .otherwise(pl.format("it needs more than its tier {} gives; {} holds it", "tier", "fits")),
        command=pl.concat_str(opened, quoted("tenant"), pl.lit(": "), quoted("fits"), pl.lit("}")),
    )
