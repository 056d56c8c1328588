"""Hours of usage, priced: by component at list price, and by the method that is booked.

Nothing is extrapolated: an hour of which half was measured costs half. Amounts are rounded once, to
a billionth of the currency, per hour, tenant and component; sums of them are exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Final, Literal

import polars as pl

from policy.cost.capacity import Cluster, needs
from policy.cost.prices import PriceBook, PriceList
from policy.cost.usage import HOURS_PER_MONTH, USAGE, quantities
from policy.frames import UTC_TIME

Method = Literal["samples", "series", "queries", "composite", "resource"]

AMOUNT: Final = pl.Decimal(18, 9)
_WIDE: Final = pl.Decimal(38, 9)
HOUR: Final = timedelta(hours=1)

QUANTITIES: Final = (
    "samples",
    "series_hours",
    "queries",
    "query_seconds",
    "stored_gb_months",
    "core_hours",
    "memory_gb_hours",
    "disk_gb_hours",
)
COMPONENTS: Final = ("samples", "series", "queries", "storage", "resource")
# One row per hour and tenant. Quantities are null where they were not measured; the amount of a
# component where it has no price or no quantity; `amount` where nothing that the method counts has
# one. `unknown` names the components that the method counts and that have none. The amounts of
# components are at list price; so is `listed_amount`, which is null unless `amount` was scaled to
# the bill. The limits in force are null where they are not known or there is none, and what they
# reserve is priced like usage: `reserved_amount`, beside `reservable_amount`, what of the hour's
# usage such limits could have reserved.
COSTS: Final = pl.Schema(
    {
        "at": UTC_TIME,
        "tenant": pl.String(),
        "currency": pl.String(),
        "method": pl.String(),
        "amount": AMOUNT,
        "unknown": pl.String(),
        "covered_seconds": pl.Float64(),
        **{name: pl.Float64() for name in QUANTITIES},
        **{f"{name}_amount": AMOUNT for name in COMPONENTS},
        "listed_amount": AMOUNT,
        "samples_limit": pl.Float64(),
        "series_limit": pl.Float64(),
        "reserved_amount": _WIDE,
        "reservable_amount": _WIDE,
    }
)
_NOT_OF_USAGE: Final = (
    "listed_amount",
    "samples_limit",
    "series_limit",
    "reserved_amount",
    "reservable_amount",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How usage is priced.

    Attributes:
        book: the prices.
        method: what is booked.
        weights: of the components in the composite.
        retention_months: of blocks; None where it is not known.
        cluster: what the method `resource` needs to know.
    """

    book: PriceBook
    method: Method
    weights: Mapping[str, Decimal] = field(default_factory=dict)
    retention_months: float | None = None
    cluster: Cluster = field(default_factory=Cluster)

    def counted(self, held: PriceList) -> Mapping[str, Decimal]:
        """What the method counts, each with its weight.

        In a composite, the weight of what the list has no price for goes to what it has one for.
        """
        if self.method != "composite":
            return {self.method: Decimal(1)}
        weights = {name: weight for name, weight in self.weights.items() if weight}
        with_price = sum(weight for name, weight in weights.items() if name in held.components)
        if not with_price:
            return weights
        scale = sum(weights.values()) / with_price
        return {
            name: weight * scale if name in held.components else weight
            for name, weight in weights.items()
        }


def priced(usage: pl.DataFrame, *, terms: Terms) -> pl.DataFrame:
    """The costs of the usage, each hour by the list that holds at its start.

    Args:
        usage: USAGE.
        terms: how it is priced.

    Returns:
        COSTS, sorted by hour and tenant.
    """
    if usage.is_empty():
        return pl.DataFrame(schema=COSTS)
    missing = [pl.lit(None, dtype=COSTS[name]).alias(name) for name in _NOT_OF_USAGE]
    return (
        valued(usage, terms=terms)
        .with_columns(missing)
        .select(COSTS.names())
        .cast(COSTS)
        .sort("at", "tenant")
    )


def valued(usage: pl.DataFrame, *, terms: Terms) -> pl.DataFrame:
    """USAGE, not empty, with its quantities and amounts, and room for amounts of any size."""
    found = usage.select(USAGE.names()).with_columns(
        **quantities(retention_months=terms.retention_months), **needs(terms.cluster)
    )
    start, end = usage["at"].min(), usage["at"].max()
    parts = [
        _by_list(found.filter(pl.col("at") >= begins, pl.col("at") < until), held, terms=terms)
        for begins, until, held in terms.book.between(start, end + HOUR)  # type: ignore[operator,arg-type]
    ]
    return pl.concat(parts)


def _by_list(found: pl.DataFrame, held: PriceList, *, terms: Terms) -> pl.DataFrame:
    amounts = {f"{name}_amount": amount for name, amount in _amounts(held).items()}
    counted = terms.counted(held)
    rows = found.with_columns(**amounts)
    known = [pl.col(f"{name}_amount") for name in counted]
    weighted = [
        (pl.col(f"{name}_amount").cast(_WIDE) * pl.lit(weight, dtype=_WIDE)).fill_null(Decimal(0))
        for name, weight in counted.items()
    ]
    total = weighted[0]
    for part in weighted[1:]:
        total = total + part
    return rows.with_columns(
        currency=pl.lit(terms.book.currency),
        method=pl.lit(terms.method),
        amount=pl.when(pl.any_horizontal(each.is_not_null() for each in known)).then(total),
        unknown=pl.concat_str(
            [
                pl.when(pl.col(f"{name}_amount").is_null()).then(pl.lit(name))
                for name in sorted(counted)
            ],
            separator=",",
            ignore_nulls=True,
        ),
    )


def _amounts(held: PriceList) -> dict[str, pl.Expr]:
    """What each component costs by the list."""
    per_disk_gb_hour = (
        None
        if held.per_disk_gb_month is None
        else held.per_disk_gb_month / Decimal(HOURS_PER_MONTH)
    )
    return {
        "samples": _cost("samples", held.per_million_samples, of=1e6),
        "series": _cost("series_hours", held.per_thousand_series_hours, of=1e3),
        "queries": _either(
            _cost("queries", held.per_query), _cost("query_seconds", held.per_query_second)
        ),
        "storage": _cost("stored_gb_months", held.per_gb_month),
        "resource": _either(
            _cost("core_hours", held.per_core_hour),
            _cost("memory_gb_hours", held.per_memory_gb_hour),
            _cost("disk_gb_hours", per_disk_gb_hour),
        ),
    }


def _cost(quantity: str, price: Decimal | None, *, of: float = 1.0) -> pl.Expr:
    if price is None:
        return pl.lit(None, dtype=_WIDE)
    return (pl.col(quantity) / of).cast(_WIDE) * pl.lit(price, dtype=_WIDE)


def _either(*amounts: pl.Expr) -> pl.Expr:
    """Their sum; null where none is known."""
    total = amounts[0].fill_null(Decimal(0))
    for each in amounts[1:]:
        total = total + each.fill_null(Decimal(0))
    return pl.when(pl.any_horizontal(each.is_not_null() for each in amounts)).then(total)
