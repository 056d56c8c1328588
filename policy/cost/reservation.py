"""What limits reserve, priced like usage: what a tenant would cost that used all it may.

A limit that is not known reserves an unknown amount, and so does one of 0, which is no limit; never
nothing. No limit reserves queries, so they are left out of what a reservation is compared with.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from policy.cost.prices import PriceList
from policy.cost.pricing import COSTS, HOUR, Terms, valued
from policy.cost.usage import USAGE
from policy.frames import LIMITS, UTC_TIME
from policy.signals import INGESTION_RATE, SERIES

# The limits that were in force in an hour; null where unknown, or where there is none.
RESERVED: Final = pl.Schema(
    {
        "at": UTC_TIME,
        "tenant": pl.String(),
        "samples_limit": pl.Float64(),
        "series_limit": pl.Float64(),
    }
)
# Above it a limit is a way to write that there is none.
_MOST: Final = 1e15
_OF_SAMPLES: Final = frozenset({"samples", "storage", "resource"})
_OF_SERIES: Final = frozenset({"series", "resource"})
_KEYS: Final = ("at", "tenant")


def limits_of_hours(limits: pl.DataFrame, *, hours: pl.Series) -> pl.DataFrame:
    """RESERVED of these hours by the limits (LIMITS) that were in force in all of them."""
    known = limits.select(LIMITS.names()).filter(pl.col("value") > 0, pl.col("value") < _MOST)

    def of(limit: str) -> pl.Expr:
        return pl.col("value").filter(pl.col("limit") == limit).first()

    by_tenant = known.group_by("tenant").agg(
        samples_limit=of(INGESTION_RATE), series_limit=of(SERIES)
    )
    return hours.unique().to_frame("at").join(by_tenant, how="cross").select(RESERVED.names())


def with_reservations(
    costs: pl.DataFrame, *, usage: pl.DataFrame, limits: pl.DataFrame, terms: Terms
) -> pl.DataFrame:
    """The costs (COSTS) of the usage (USAGE), with the limits of their hours (RESERVED) priced."""
    known = usage.select(USAGE.names()).join(limits.select(RESERVED.names()), on=list(_KEYS))
    if known.is_empty():
        return costs
    start, end = known["at"].min(), known["at"].max()
    parts = [
        _priced(rows, held=held, terms=terms)
        for begins, until, held in terms.book.between(start, end + HOUR)  # type: ignore[operator,arg-type]
        if (rows := known.filter(pl.col("at") >= begins, pl.col("at") < until)).height
    ]
    found = pl.concat(parts)
    own = [name for name in found.columns if name not in _KEYS]
    return (
        costs.drop(own)
        .join(found, on=list(_KEYS), how="left", maintain_order="left")
        .select(COSTS.names())
    )


def _priced(rows: pl.DataFrame, *, held: PriceList, terms: Terms) -> pl.DataFrame:
    """The limits of the rows, what they reserve, and what of the usage they could have reserved."""
    counted = frozenset(terms.counted(held)) & held.components
    wanted = [
        pl.col(limit)
        for limit, of in (("samples_limit", _OF_SAMPLES), ("series_limit", _OF_SERIES))
        if counted & of
    ]
    known = pl.all_horizontal([pl.lit(bool(wanted)), *(each.is_not_null() for each in wanted)])
    nothing = pl.lit(None, dtype=pl.Float64)
    without_queries = rows.with_columns(
        queries_per_second=nothing,
        query_seconds_per_second=nothing,
        ruler_seconds_per_second=nothing,
    )
    full = without_queries.with_columns(
        samples_per_second="samples_limit",
        active_series="series_limit",
        memory_series="series_limit",
    )
    used, reserved = (
        valued(frame, terms=terms).select(*_KEYS, pl.col("amount").alias(name))
        for frame, name in ((without_queries, "reservable_amount"), (full, "reserved_amount"))
    )
    return (
        rows.select(RESERVED.names())
        .join(reserved, on=list(_KEYS))
        .join(used, on=list(_KEYS))
        .with_columns(pl.when(known).then(pl.col("reserved_amount", "reservable_amount")))
    )
