"""Money in parts that add up to the whole: in whole billionths, never through a float."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

MONEY: Final = pl.Decimal(38, 9)


def billionths(amount: str | pl.Expr) -> pl.Expr:
    """The amount as a whole number of billionths of the currency; null stays null."""
    money = pl.col(amount) if isinstance(amount, str) else amount
    return money.cast(MONEY).to_physical().cast(pl.Int128)


def amount_of(whole: pl.Expr) -> pl.Expr:
    """The amount of so many billionths; its inverse."""
    return whole.cast(pl.Decimal(38, 0)) * pl.lit("0.000000001").cast(MONEY)


def apportioned(
    rows: pl.DataFrame, *, pool: str, weight: str, over: Sequence[str], tie: str
) -> pl.DataFrame:
    """The rows with `part`: what each gets of the pool of its group, by weight.

    Each part is cut to whole billionths; those that are left go, one each, to the parts that lost
    the most, and of two that lost the same to the first by `tie`. So parts add up to their pool,
    and the same rows in any order give the same parts.

    Args:
        rows: `pool`, of zero or more and the same in each row of a group, and `weight`, of zero or
            more and not all zero in a group; both in billionths, as `billionths` gives them.
        pool: the column with what is shared out.
        weight: the column with how much of it each is to get.
        over: the columns that make a group.
        tie: a column whose values differ within a group.
    """
    share = pl.col(pool) * pl.col(weight)
    return (
        rows.with_columns(of_all=pl.col(weight).sum().over(over))
        .with_columns(part=share // pl.col("of_all"), lost=share % pl.col("of_all"))
        .with_columns(left=pl.col(pool) - pl.col("part").sum().over(over))
        .sort(*over, "lost", tie, descending=[*(False for _ in over), True, False])
        .with_columns(place=pl.int_range(pl.len(), dtype=pl.Int128).over(over))
        .with_columns(part=pl.col("part") + (pl.col("place") < pl.col("left")).cast(pl.Int128))
        .drop("of_all", "lost", "left", "place")
    )
