"""Prices scaled to the bill: what tenants are charged in an hour is what the hour cost."""

from __future__ import annotations

from typing import Final

import polars as pl

from policy.cost.parts import amount_of, apportioned, billionths
from policy.cost.prices import PriceBook
from policy.cost.pricing import COSTS, HOUR

_SCALED: Final = ("reserved_amount", "reservable_amount")


def calibrated(costs: pl.DataFrame, *, bills: pl.DataFrame, book: PriceBook) -> pl.DataFrame:
    """The costs (COSTS), scaled in each hour whose list calibrates, in any order.

    There the amounts add up to the bill of the hour, to the last digit, in the proportion that
    they had, which `listed_amount` keeps. What is unknown stays unknown, and those who are known
    bear the bill. An hour in which nobody is charged anything is left to idle. What each component
    costs stays at list price.

    Args:
        costs: COSTS at list price.
        bills: BILLS of these hours.
        book: whose lists say whether they calibrate.
    """
    if costs.is_empty() or not any(held.calibrate for held in book.lists):
        return costs
    start, end = costs["at"].min(), costs["at"].max()
    parts = [
        rows if not held.calibrate else _scaled(rows, bills=bills)
        for begins, until, held in book.between(start, end + HOUR)  # type: ignore[operator,arg-type]
        if (rows := costs.filter(pl.col("at") >= begins, pl.col("at") < until)).height
    ]
    return pl.concat(parts)


def _scaled(costs: pl.DataFrame, *, bills: pl.DataFrame) -> pl.DataFrame:
    rows = costs.join(
        bills.select("at", pool=billionths("amount")), on="at", how="left"
    ).with_columns(weight=billionths("amount"))
    bears = pl.col("weight").is_not_null() & (pl.col("weight").sum().over("at") > 0)
    charged = rows.filter(bears, pl.col("pool").is_not_null())
    if charged.is_empty():
        return costs
    all_of_hour = pl.col("weight").sum().over("at").cast(pl.Float64)
    factor = pl.col("pool").cast(pl.Float64) / all_of_hour
    found = apportioned(
        charged.with_columns(
            (pl.col(name).cast(pl.Float64) * factor).round(9).alias(name) for name in _SCALED
        ),
        pool="pool",
        weight="weight",
        over=["at"],
        tie="tenant",
    ).with_columns(listed_amount="amount", amount=amount_of(pl.col("part")))
    untouched = costs.join(charged, on=["at", "tenant"], how="anti")
    return pl.concat([found.select(COSTS.names()).cast(COSTS), untouched])
