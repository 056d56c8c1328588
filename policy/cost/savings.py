"""What could be saved, from evidence; a lower limit that never binds saves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import polars as pl

from policy.activity import IDLE
from policy.cost.advice import Past, duplicates, other_tiers, shorter_retention
from policy.cost.budgets import MONEY
from policy.cost.recommendation import (
    UNKNOWN,
    in_a_shell,
    month_price,
    override,
    recommendation,
)
from policy.figures import TIMES, grouped
from policy.signals import INGESTION_RATE, SERIES

CHURNED_A_DAY: Final = 3.0
"""New series in a day, of those that are active: above it, labels change with every restart."""
LEAST_ACTIVE: Final = 1_000.0  # series, below which churn is nobody's money
_SECONDS_PER_DAY: Final = 86_400.0
_KEYS: Final = ("tenant", "limit")

# Means of the last week; null where a signal was not measured.
CHURN: Final = pl.Schema(
    {"tenant": pl.String(), "created_per_second": pl.Float64(), "active_series": pl.Float64()}
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What is known.

    Attributes:
        standings: STANDINGS.
        states: STATES: who is idle.
        churn: CHURN.
        past: what tenants sent twice, and how far back their queries reach.
        floors: the hard minimum of limits.
        tiers: columns tenant, tier: the tier of each tenant that has one.
        limits_of_tiers: what each tier gives, by limit, by tier.
        month_of: what a month of one unit of a limit costs at most; a limit without a price has
            no entry.
    """

    standings: pl.DataFrame
    states: pl.DataFrame
    churn: pl.DataFrame
    past: Past
    floors: Mapping[str, float]
    tiers: pl.DataFrame
    limits_of_tiers: Mapping[str, Mapping[str, float]]
    month_of: Mapping[str, Decimal]


def savings(known: Evidence) -> pl.DataFrame:
    """SAVINGS, those that cut most exposure first."""
    found = pl.concat(
        [
            _unused(known),
            _idle(known),
            _churning(known),
            duplicates(known.past, month_of=known.month_of),
            shorter_retention(known.past),
            other_tiers(
                known.standings,
                tiers=known.tiers,
                limits=known.limits_of_tiers,
                month_of=known.month_of,
            ),
        ]
    )
    return found.sort("exposure", "kind", *_KEYS, descending=[True] + [False] * 3, nulls_last=True)


def _unused(known: Evidence) -> pl.DataFrame:
    """Limits far above what is asked for, of those at work."""
    idle = known.states.filter(state=IDLE)
    rows = (
        known.standings.filter(
            pl.col("provision") == "over",
            pl.col("limit").is_in([INGESTION_RATE, SERIES]),
            pl.col("recommended") < pl.col("value"),
        )
        .join(idle, on="tenant", how="anti")
        .with_columns(to=pl.col("recommended").ceil())
    )
    return _lowered(
        rows,
        known=known,
        kind="unused quota",
        because=pl.format(
            "the limit of {} is {} {} its peak of {}",
            grouped(pl.col("value")),
            grouped(pl.col("value") / pl.col("recent")),
            pl.lit(TIMES),
            grouped(pl.col("recent")),
        ),
    )


def _idle(known: Evidence) -> pl.DataFrame:
    """Limits of tenants that ask for nothing, down to the least that anybody has."""
    floor = pl.col("limit").replace_strict(
        dict(known.floors), default=None, return_dtype=pl.Float64
    )
    rows = (
        known.standings.filter(pl.col("limit").is_in([INGESTION_RATE, SERIES]))
        .join(known.states.filter(state=IDLE), on="tenant", how="semi")
        .with_columns(to=floor.ceil())
        .filter(pl.col("to") < pl.col("value"))
    )
    return _lowered(
        rows,
        known=known,
        kind="idle tenant",
        because=pl.format("asks for nothing, and may have {}", grouped(pl.col("value"))),
    )


def _churning(known: Evidence) -> pl.DataFrame:
    """Tenants whose series are new ones several times a day; what of them can go, labels tell."""
    churned = pl.col("created_per_second") * _SECONDS_PER_DAY / pl.col("active_series")
    rows = known.churn.filter(
        pl.col("active_series") >= LEAST_ACTIVE, churned >= CHURNED_A_DAY
    ).with_columns(limit=pl.lit(None, dtype=pl.String))
    return recommendation(
        rows,
        kind="churn",
        exposure=UNKNOWN,
        avoided=UNKNOWN,
        because=pl.format(
            "its {} active series are replaced {} {} a day",
            grouped(pl.col("active_series")),
            grouped(churned.round(1)),
            pl.lit(TIMES),
        ),
        command=pl.format("mlo cardinality {}", in_a_shell("tenant")),
        value=churned,
        target=pl.lit(CHURNED_A_DAY),
    )


def _lowered(rows: pl.DataFrame, *, known: Evidence, kind: str, because: pl.Expr) -> pl.DataFrame:
    """A limit of `value` that should be `to`."""
    price = month_price(pl.col("limit"), month_of=known.month_of)
    less = (pl.col("value") - pl.col("to")).cast(MONEY)
    return recommendation(
        rows,
        kind=kind,
        exposure=(less * price).cast(MONEY),
        because=because,
        command=override(pl.col("limit"), pl.col("to").cast(pl.Int64).cast(pl.String)),
        value=pl.col("value"),
        target=pl.col("to"),
    )
