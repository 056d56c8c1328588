"""What can be charged for, each with its unit and its price, as the line of an invoice has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import polars as pl

from policy.cost.periods import Period
from policy.cost.prices import PriceList
from policy.cost.pricing import Terms
from policy.cost.usage import HOURS_PER_MONTH

_MONEY: Final = pl.Decimal(38, 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """Something that has a price of its own.

    Attributes:
        component: of a cost.
        price: the attribute of a price list.
        meter: what is measured.
        consumed_unit: of the quantity that is stored.
        pricing_unit: of the quantity that has the price.
        per: one of that, in a sentence.
        block: how many of the one are in the other.
    """

    component: str
    price: str
    meter: str
    consumed_unit: str
    pricing_unit: str
    per: str
    block: float = 1.0


# By the name of the quantity in COSTS.
ARTICLES: Final[Mapping[str, Article]] = {
    "samples": Article(
        component="samples",
        price="per_million_samples",
        meter="Samples accepted",
        consumed_unit="Samples",
        pricing_unit="1000000 Samples",
        per="million samples",
        block=1e6,
    ),
    "series_hours": Article(
        component="series",
        price="per_thousand_series_hours",
        meter="Active series",
        consumed_unit="Series-Hours",
        pricing_unit="1000 Series-Hours",
        per="thousand series-hours",
        block=1e3,
    ),
    "queries": Article(
        component="queries",
        price="per_query",
        meter="Queries",
        consumed_unit="Queries",
        pricing_unit="Queries",
        per="query",
    ),
    "query_seconds": Article(
        component="queries",
        price="per_query_second",
        meter="Time of queriers and rules",
        consumed_unit="Seconds",
        pricing_unit="Seconds",
        per="second",
    ),
    "stored_gb_months": Article(
        component="storage",
        price="per_gb_month",
        meter="Object storage",
        consumed_unit="GB-Months",
        pricing_unit="GB-Months",
        per="GB-month",
    ),
    "core_hours": Article(
        component="resource",
        price="per_core_hour",
        meter="Cores needed",
        consumed_unit="Core-Hours",
        pricing_unit="Core-Hours",
        per="core-hour",
    ),
    "memory_gb_hours": Article(
        component="resource",
        price="per_memory_gb_hour",
        meter="Memory needed",
        consumed_unit="GB-Hours",
        pricing_unit="GB-Hours",
        per="GB-hour",
    ),
    "disk_gb_hours": Article(
        component="resource",
        price="per_disk_gb_month",
        meter="Disk needed",
        consumed_unit="GB-Hours",
        pricing_unit="GB-Months",
        per="GB-month",
        block=HOURS_PER_MONTH,
    ),
}

# One row per window and article that is booked: its price, and how much of that the method counts.
TARIFF: Final = pl.Schema(
    {
        "number": pl.Int64(),
        "article": pl.String(),
        "price": _MONEY,
        "weight": _MONEY,
        "block": pl.Float64(),
    }
)


def tariff(windows: Sequence[Period], *, terms: Terms) -> pl.DataFrame:
    """TARIFF of windows of which each lies within one price list, as a day does."""
    rows = [
        (number, name, price, weight, ARTICLES[name].block)
        for number, each in enumerate(windows)
        for name, price, weight in _booked(held_at(each, terms=terms), terms=terms)
    ]
    return pl.DataFrame(rows, schema=TARIFF, orient="row")


def held_at(each: Period, *, terms: Terms) -> PriceList:
    """The price list that holds when the period begins."""
    _, _, held = next(iter(terms.book.between(each.start, each.end)))
    return held


def _booked(held: PriceList, *, terms: Terms) -> list[tuple[str, Decimal, Decimal]]:
    counted = terms.counted(held)
    prices = [(name, of, getattr(held, of.price)) for name, of in ARTICLES.items()]
    return [
        (name, price, counted[of.component])
        for name, of, price in prices
        if price is not None and counted.get(of.component)
    ]
