"""What could be saved, from evidence, in three figures that are never added up.

`exposure` is what the worst bill that limits allow would fall by: nobody pays it today. `avoided`
is what the forecast would fall by, null where that is not known. `realised` is what was saved by
now: nothing, for as long as a recommendation is one. A lower limit that never binds saves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import polars as pl

from policy.activity import IDLE
from policy.cost.budgets import MONEY
from policy.cost.pricing import Terms
from policy.cost.usage import HOURS_PER_MONTH, SECONDS_PER_HOUR
from policy.figures import TIMES, grouped
from policy.signals import INGESTION_RATE, SERIES

CHURNED_A_DAY: Final = 3.0
"""New series in a day, of those that are active: above it, labels change with every restart."""
LEAST_ACTIVE: Final = 1_000.0  # series, below which churn is nobody's money
_SECONDS_PER_DAY: Final = 86_400.0
_KEYS: Final = ("tenant", "limit")

# One row per recommendation; amounts are of a month, in the currency of the prices. `limit` is null
# where it is about no single one. `command` is what to type, or YAML to put into a runtime file.
SAVINGS: Final = pl.Schema(
    {
        "kind": pl.String(),
        "tenant": pl.String(),
        "limit": pl.String(),
        "exposure": MONEY,
        "avoided": MONEY,
        "realised": MONEY,
        "because": pl.String(),
        "command": pl.String(),
    }
)
# Means of the last week; null where a signal was not measured.
CHURN: Final = pl.Schema(
    {"tenant": pl.String(), "created_per_second": pl.Float64(), "active_series": pl.Float64()}
)
_NOTHING: Final = pl.lit(Decimal(0), dtype=MONEY)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What is known.

    Attributes:
        standings: STANDINGS.
        states: STATES: who is idle.
        churn: CHURN.
        floors: the hard minimum of limits.
        month_of: what a month of one unit of a limit costs at most; a limit without a price has
            no entry.
    """

    standings: pl.DataFrame
    states: pl.DataFrame
    churn: pl.DataFrame
    floors: Mapping[str, float]
    month_of: Mapping[str, Decimal]


def month_of(terms: Terms) -> dict[str, Decimal]:
    """What a month of one unit of each limit costs, used in full, as the method books it."""
    held = terms.book.lists[-1]
    counted = terms.counted(held)
    hours = Decimal(HOURS_PER_MONTH)
    full = {
        (INGESTION_RATE, "samples"): _times(
            held.per_million_samples, hours * Decimal(SECONDS_PER_HOUR) / 1_000_000
        ),
        (SERIES, "series"): _times(held.per_thousand_series_hours, hours / 1_000),
    }
    return {
        limit: price * counted[component]
        for (limit, component), price in full.items()
        if price is not None and component in counted
    }


def savings(known: Evidence) -> pl.DataFrame:
    """SAVINGS, those that cut most exposure first."""
    found = pl.concat([_unused(known), _idle(known), _churning(known)])
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
    return _finished(
        rows,
        kind="unused quota",
        exposure=_exposure(pl.col("value") - pl.col("to"), known),
        because=pl.format(
            "the limit of {} is {} {} its peak of {}",
            grouped(pl.col("value")),
            grouped(pl.col("value") / pl.col("recent")),
            pl.lit(TIMES),
            grouped(pl.col("recent")),
        ),
        command=_yaml(),
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
    return _finished(
        rows,
        kind="idle tenant",
        exposure=_exposure(pl.col("value") - pl.col("to"), known),
        because=pl.format("asks for nothing, and may have {}", grouped(pl.col("value"))),
        command=_yaml(),
    )


def _churning(known: Evidence) -> pl.DataFrame:
    """Tenants whose series are new ones several times a day; what of them can go, labels tell."""
    churned = pl.col("created_per_second") * _SECONDS_PER_DAY / pl.col("active_series")
    rows = known.churn.filter(
        pl.col("active_series") >= LEAST_ACTIVE, churned >= CHURNED_A_DAY
    ).with_columns(limit=pl.lit(None, dtype=pl.String))
    return _finished(
        rows,
        kind="churn",
        exposure=pl.lit(None, dtype=MONEY),
        avoided=pl.lit(None, dtype=MONEY),
        because=pl.format(
            "its {} active series are replaced {} {} a day",
            grouped(pl.col("active_series")),
            grouped(churned.round(1)),
            pl.lit(TIMES),
        ),
        command=pl.format("mlo cardinality {}", _in_a_shell("tenant")),
    )


def _finished(
    rows: pl.DataFrame,
    *,
    kind: str,
    exposure: pl.Expr,
    because: pl.Expr,
    command: pl.Expr,
    avoided: pl.Expr = _NOTHING,
) -> pl.DataFrame:
    return (
        rows.with_columns(
            kind=pl.lit(kind),
            exposure=exposure,
            avoided=avoided,
            realised=_NOTHING,
            because=because,
            command=command,
        )
        .select(SAVINGS.names())
        .cast(SAVINGS)
    )


def _exposure(units: pl.Expr, known: Evidence) -> pl.Expr:
    price = pl.col("limit").replace_strict(
        list(known.month_of), list(known.month_of.values()), default=None, return_dtype=MONEY
    )
    return (units.cast(MONEY) * price).cast(MONEY)


def _yaml() -> pl.Expr:
    """A line that a runtime file takes; a name in quotes is a name whatever it looks like."""
    name = pl.col("tenant").str.replace_all("'", "''", literal=True)
    value = pl.col("to").cast(pl.Int64).cast(pl.String)
    braces = ("overrides: {'", "': {", ": ", "}}")
    opened, named, said, closed = (pl.lit(each) for each in braces)
    return pl.concat_str(opened, name, named, pl.col("limit"), said, value, closed)


def _in_a_shell(name: str) -> pl.Expr:
    """A word of a command line, in quotes where it needs them."""
    plain = pl.col(name).str.contains(r"^[A-Za-z0-9_.-]+$")
    escaped = pl.col(name).str.replace_all("'", "'\\''", literal=True)
    return pl.when(plain).then(name).otherwise(pl.format("'{}'", escaped))


def _times(price: Decimal | None, amount: Decimal) -> Decimal | None:
    return None if price is None else price * amount
