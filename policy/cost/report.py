"""What was spent, as a report: who, how much, what nobody used, all of it.

The rows of a report add up to what it says of all, to the last digit: what idles is a row of its
own, or shared out to the last digit, too. Where tenants are charged more than the bill, nothing
idles: that excess is a row below zero, and is never shared out.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, Literal

import polars as pl

from policy.cost.parts import MONEY, amount_of, apportioned, billionths

By = Literal["tenant", "team"]
Shared = Literal["none", "even", "weighted"]

_NOTHING: Final = pl.lit(Decimal(0), dtype=MONEY)

# One row per window and tenant or team; `kind` is `charged`, `idle` or `excess`, and only of the
# first there is a name. `share` is the part of all of the window, 0..1; null where all is nothing
# or unknown. `reserved` is what the limits in force would cost, used in full, and `reserved_used`
# the part of it that is used, 0..1 and above; of the `reserved_hours` in which both are known.
REPORT: Final = pl.Schema(
    {
        "number": pl.Int64(),
        "kind": pl.String(),
        "tenant": pl.String(),
        "team": pl.String(),
        "currency": pl.String(),
        "amount": MONEY,
        "share": pl.Float64(),
        "tenants": pl.Int64(),
        "hours": pl.Int64(),
        "covered_hours": pl.Float64(),
        "unknown": pl.String(),
        "reserved": MONEY,
        "reserved_used": pl.Float64(),
        "reserved_hours": pl.Int64(),
    }
)


def report(
    spent: pl.DataFrame, *, idle: pl.DataFrame, by: Sequence[By], shared: Shared
) -> pl.DataFrame:
    """REPORT of what was spent, the dearest of each window first, what idles last.

    Args:
        spent: number, tenant, team, currency, amount, hours, covered_hours, unknown,
            reserved_amount, reservable_amount, reserved_hours.
        idle: number, currency, idle; no row where no bill is known.
        by: what a row is of.
        shared: how what idles is shared out: not, evenly, or by what each was charged. Where
            nobody was charged it stays a row.
    """
    keys = ["number", *by, "currency"]
    rows = (
        spent.group_by(keys)
        .agg(
            amount=_known_sum("amount"),
            tenants=pl.col("tenant").n_unique(),
            hours=pl.col("hours").max(),
            covered_hours=pl.col("covered_hours").sum(),
            unknown=_names("unknown"),
            reserved=_known_sum("reserved_amount"),
            bound=_known_sum("reservable_amount"),
            reserved_hours=pl.col("reserved_hours").sum(),
        )
        .with_columns(kind=pl.lit("charged"), reserved_used=_ratio("bound", "reserved"))
        .drop("bound")
    )
    kind = pl.when(pl.col("idle") < 0).then(pl.lit("excess")).otherwise(pl.lit("idle"))
    rest = idle.select("number", "currency", amount="idle", kind=kind)
    if shared != "none":
        rows, rest = _shared_out(rows, rest, by=by, weighted=shared == "weighted")
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
    rows: pl.DataFrame, rest: pl.DataFrame, *, by: Sequence[By], weighted: bool
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows with what idles among them, and what could not be shared out."""
    order = ["number", "currency"]
    charged = pl.col("amount").fill_null(_NOTHING)
    weight = billionths(charged) if weighted else pl.lit(1, dtype=pl.Int128)
    pools = rest.filter(kind="idle").select(*order, pool=billionths("amount"))
    sharing = (
        rows.sort(*order, *by)
        .with_row_index("row")
        .join(pools, on=order)
        .with_columns(weight=weight)
        .filter(pl.col("weight").sum().over(order) > 0)
    )
    shared = apportioned(sharing, pool="pool", weight="weight", over=order, tie="row").with_columns(
        amount=charged + amount_of(pl.col("part"))
    )
    alone = rows.join(shared, on=order, how="anti")
    untouched = rest.join(shared, on=order, how="anti")
    whole = pl.concat([alone, shared.select(rows.columns).cast(rows.schema)])
    return whole, untouched


def _known_sum(column: str) -> pl.Expr:
    """The sum of what is known; null where nothing is."""
    return pl.when(pl.col(column).count() > 0).then(pl.col(column).sum())


def _ratio(part: str, whole: str) -> pl.Expr:
    """The part of the whole; null where the whole is nothing."""
    return pl.when(pl.col(whole) > 0).then(
        pl.col(part).cast(pl.Float64) / pl.col(whole).cast(pl.Float64)
    )


def _names(column: str) -> pl.Expr:
    """Every name in comma-separated lists, once each; null where there is none."""
    names = pl.col(column).drop_nulls().str.split(",").explode().unique().sort().str.join(",")
    return pl.when(pl.col(column).drop_nulls().len() > 0).then(names)
