"""What could be saved, from evidence; a lower limit that never binds saves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import polars as pl

from policy.activity import IDLE
from policy.cost.advice import (
    Past,
    advised_now,
    duplicates,
    shorter_retention,
    spare_replicas,
)
from policy.cost.recommendation import (
    KEYS,
    UNKNOWN,
    in_a_shell,
    measured,
    override,
    priced,
    recommendation,
)
from policy.cost.tiering import TIER, tier_changes
from policy.figures import TIMES, grouped
from policy.signals import INGESTION_RATE, SERIES

CHURNED_A_DAY: Final = 3.0
"""New series in a day, of those that are active: above it, labels change with every restart."""
LEAST_ACTIVE: Final = 1_000.0  # series, below which churn is nobody's money
_SECONDS_PER_DAY: Final = 86_400.0
_PRICED: Final = (INGESTION_RATE, SERIES)
UNUSED, IDLING, CHURNING = "unused quota", "idle tenant", "churn"

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
        members: tenant, tier (null where it has none).
        moves: MOVES between the tiers.
        peaks: PEAKS.
        month_of: what a month of one unit of a limit costs at most; a limit without a price has
            no entry.
    """

    standings: pl.DataFrame
    states: pl.DataFrame
    churn: pl.DataFrame
    past: Past
    floors: Mapping[str, float]
    members: pl.DataFrame
    moves: pl.DataFrame
    peaks: pl.DataFrame
    month_of: Mapping[str, Decimal]


def savings(known: Evidence) -> pl.DataFrame:
    """SAVINGS, those that cut most exposure first."""
    found = pl.concat(
        [
            _unused(known),
            _idle(known),
            _churning(known),
            duplicates(known.past, month_of=known.month_of),
            spare_replicas(known.past),
            shorter_retention(known.past),
            _of_tiers(known),
        ]
    )
    return found.sort("exposure", *KEYS, descending=[True] + [False] * 3, nulls_last=True)


def as_it_is(known: Evidence) -> pl.DataFrame:
    """MEASURED: what is now of everything that could be recommended about."""
    limits = known.standings.filter(pl.col("limit").is_in(_PRICED))
    churned = known.churn.select("tenant", limit=pl.lit(None, dtype=pl.String), value=_churned())
    return pl.concat(
        [
            *(measured(kind, limits) for kind in (UNUSED, IDLING, TIER)),
            measured(CHURNING, churned),
            advised_now(known.past),
        ]
    )


def exposed(known: Evidence) -> Decimal | None:
    """What a month of all limits in force costs at most; None where none has a price."""
    amounts = known.standings.filter(pl.col("value") > 0).select(
        amount=priced(pl.col("value"), known.month_of)
    )["amount"]
    return sum(amounts.drop_nulls(), Decimal(0)) if amounts.count() else None


def _unused(known: Evidence) -> pl.DataFrame:
    """Limits far above what is asked for, of those at work."""
    idle = known.states.filter(state=IDLE)
    rows = (
        known.standings.filter(
            pl.col("provision") == "over",
            pl.col("limit").is_in(_PRICED),
            pl.col("recommended") < pl.col("value"),
        )
        .join(idle, on="tenant", how="anti")
        .with_columns(to=pl.col("recommended").ceil())
    )
    return _lowered(
        rows,
        known=known,
        kind=UNUSED,
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
        known.standings.filter(pl.col("limit").is_in(_PRICED))
        .join(known.states.filter(state=IDLE), on="tenant", how="semi")
        .with_columns(to=floor.ceil())
        .filter(pl.col("to") < pl.col("value"))
    )
    return _lowered(
        rows,
        known=known,
        kind=IDLING,
        because=pl.format("asks for nothing, and may have {}", grouped(pl.col("value"))),
    )


def _churning(known: Evidence) -> pl.DataFrame:
    """Tenants whose series are new ones several times a day; what of them can go, labels tell."""
    churned = _churned()
    rows = known.churn.filter(
        pl.col("active_series") >= LEAST_ACTIVE, churned >= CHURNED_A_DAY
    ).with_columns(limit=pl.lit(None, dtype=pl.String))
    return recommendation(
        rows,
        kind=CHURNING,
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


def _of_tiers(known: Evidence) -> pl.DataFrame:
    """Tiers of those at work that are too large or too small."""
    idle = known.states.filter(state=IDLE)
    return tier_changes(
        known.members.join(idle, on="tenant", how="anti"),
        moves=known.moves,
        peaks=known.peaks,
        standings=known.standings,
        month_of=known.month_of,
    )


def _churned() -> pl.Expr:
    """How often the active series are replaced in a day; null without any."""
    active = pl.col("active_series")
    return pl.when(active > 0).then(pl.col("created_per_second") * _SECONDS_PER_DAY / active)


def _lowered(rows: pl.DataFrame, *, known: Evidence, kind: str, because: pl.Expr) -> pl.DataFrame:
    """A limit of `value` that should be `to`."""
    return recommendation(
        rows,
        kind=kind,
        exposure=priced(pl.col("value") - pl.col("to"), known.month_of),
        because=because,
        command=override(pl.col("limit"), pl.col("to").cast(pl.Int64).cast(pl.String)),
        value=pl.col("value"),
        target=pl.col("to"),
    )
