"""What was spent, as a report: who, how much, what nobody used, all of it.

The rows of a report add up to what it says of all, to the last digit: what idles is a row of its
own, or shared out to the last digit, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, Literal

import polars as pl

By = Literal["tenant", "team"]
Shared = Literal["none", "even", "weighted"]

_MONEY: Final = pl.Decimal(38, 9)
_DIGITS: Final = 9
_NOTHING: Final = pl.lit(Decimal(0), dtype=_MONEY)

# One row per window and tenant or team; `kind` is `charged` or `idle`, and only of the first there
# is a name. `share` is the part of all of the window, 0..1; null where all is nothing or unknown.
REPORT: Final = pl.Schema(
    {
        "number": pl.Int64(),
        "kind": pl.String(),
        "tenant": pl.String(),
        "team": pl.String(),
        "currency": pl.String(),
        "amount": _MONEY,
        "share": pl.Float64(),
        "tenants": pl.Int64(),
        "hours": pl.Int64(),
        "covered_hours": pl.Float64(),
        "unknown": pl.String(),
    }
)


def report(
    spent: pl.DataFrame, *, idle: pl.DataFrame, by: Sequence[By], shared: Shared
) -> pl.DataFrame:
    """REPORT of what was spent, the dearest of each window first, what idles last.

    Args:
        spent: number, tenant, team, currency, amount, hours, covered_hours, unknown.
        idle: number, currency, idle; no row where no bill is known.
        by: what a row is of.
        shared: how what idles is shared out: not, evenly, or by what each was charged. Where
            nobody was charged it stays a row.
    """
    keys = ["number", *by, "currency"]
    rows = (
        spent.group_by(keys)
        .agg(
            amount=pl.when(pl.col("amount").count() > 0).then(pl.col("amount").sum()),
            tenants=pl.col("tenant").n_unique(),
            hours=pl.col("hours").max(),
            covered_hours=pl.col("covered_hours").sum(),
            unknown=_names("unknown"),
        )
        .with_columns(kind=pl.lit("charged"))
    )
    rest = idle.select("number", "currency", amount="idle", kind=pl.lit("idle"))
    if shared != "none":
        rows, rest = _shared_out(rows, rest, weighted=shared == "weighted")
    whole = pl.concat([rows, rest], how="diagonal_relaxed")
    of_all = pl.col("amount").sum().over("number", "currency").cast(pl.Float64)
    missing = [
        pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in REPORT.items()
        if name not in whole.columns and name != "share"
    ]
    return (
        whole.with_columns(
            *missing,
            share=pl.when(of_all != 0).then(pl.col("amount").cast(pl.Float64) / of_all),
        )
        .sort(
            "number",
            "kind",
            "amount",
            *by,
            descending=[False, False, True, *(False for _ in by)],
            nulls_last=True,
        )
        .select(REPORT.names())
        .cast(REPORT)
    )


def _shared_out(
    rows: pl.DataFrame, rest: pl.DataFrame, *, weighted: bool
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows with what idles among them, and what could not be shared out.

    Each gets its part to the last digit but one or so; what that leaves goes to the dearest, so
    that all parts together are the whole.
    """
    order = ["number", "currency"]
    charged = pl.col("amount").fill_null(_NOTHING)
    weight = charged.cast(pl.Float64) if weighted else pl.lit(1.0)
    parts = (
        rows.join(rest.select(*order, pool="amount"), on=order, maintain_order="left")
        .with_columns(weight=weight)
        .with_columns(of_all=pl.col("weight").sum().over(order))
        .filter(pl.col("of_all") > 0)
        .with_columns(
            part=(pl.col("pool").cast(pl.Float64) * pl.col("weight") / pl.col("of_all"))
            .round(_DIGITS)
            .cast(_MONEY),
            place=charged.rank("ordinal", descending=True).over(order),
        )
        .with_columns(left=pl.col("pool") - pl.col("part").sum().over(order))
        .with_columns(
            amount=charged
            + pl.col("part")
            + pl.when(pl.col("place") == 1).then("left").otherwise(_NOTHING)
        )
    )
    whole = pl.concat([rows.join(parts, on=order, how="anti"), parts.select(rows.columns)])
    return whole, rest.join(parts, on=order, how="anti")


def _names(column: str) -> pl.Expr:
    """Every name in comma-separated lists, once each; null where there is none."""
    names = pl.col(column).drop_nulls().str.split(",").explode().unique().sort().str.join(",")
    return pl.when(pl.col(column).drop_nulls().len() > 0).then(names)
