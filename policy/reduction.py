"""Put the samples of many pods together into signals, by the table of `policy.measures`.

All measures go through the same few group-bys at once: with ten thousand tenants the groups are
what costs, with twenty it is the number of steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from policy.frames import READINGS, SAMPLES
from policy.measures import How, Measure
from policy.series import Copies, holder

# One row per sample that adds to a measure. `measure` is its place in the table; `copied` says
# that the ingesters hold copies of it.
TERMS: Final = pl.Schema(
    {
        "measure": pl.UInt8(),
        "copied": pl.Boolean(),
        "pod": READINGS["pod"],
        "user": READINGS["user"],
        "value": pl.Float64(),
    }
)

_VALUE_OF: Final[dict[How, pl.Expr]] = {
    "sum": pl.col("sum"),
    "busiest": pl.col("most"),
    "largest": pl.col("largest"),
    "rows": pl.col("rows"),
    "most_rows": pl.col("most_rows"),
    "fullest": pl.col("most") * pl.col("holders") / pl.col("factor"),
    "shared": pl.max_horizontal("sum", pl.col("most") * pl.col("sharers")),
}


def weights(measures: Sequence[Measure], *, rate: bool) -> pl.DataFrame:
    """Columns family, measure, copied, weight: how families add to the measures of one kind."""
    return pl.DataFrame(
        [
            (family, place, measure.copied, weight)
            for place, measure in enumerate(measures)
            if measure.rate == rate
            for family, weight in measure.families.items()
        ],
        schema={
            "family": READINGS["family"],
            "measure": TERMS["measure"],
            "copied": TERMS["copied"],
            "weight": pl.Float64(),
        },
        orient="row",
    )


def reduced(
    terms: pl.DataFrame, *, measures: Sequence[Measure], copies: Copies, shared: bool = True
) -> pl.DataFrame:
    """The signals of all tenants.

    Args:
        terms: TERMS.
        measures: what the places in `terms` stand for.
        copies: how often the ingesters hold one series.
        shared: each pod enforces an equal share of the limits on rates.

    Returns:
        Columns user, signal, value, and `rate`: whether two scrapes were needed for it.
    """
    key = ["measure", "user"]
    of_pods = [*key, "copied", "pod"]
    # Categories of their own are numbered from zero.
    terms = terms.with_columns(pl.col("user").cast(pl.Categorical(pl.Categories.random())))
    pods = (
        terms.group_by(_packed(of_pods))
        .agg(
            pl.col(of_pods).first(),
            pl.col("value").sum().clip(lower_bound=0.0),
            pl.col("value").max().alias("largest"),
            pl.len().cast(pl.Float64).alias("rows"),
        )
        .drop("packed")
    )
    if copies.partitioned:
        held = pl.when("copied").then(holder(copies)).otherwise("pod")
        pods = pods.group_by(*key, "copied", held.alias("pod")).agg(
            pl.col("value", "largest", "rows").max()
        )
    # Divided after the sum: a third of each of three would not be one.
    copy = pl.when("copied").then("value").otherwise(0.0)
    tenants = pods.group_by(_packed(key)).agg(
        pl.col(key).first(),
        ((pl.col("value") - copy).sum() + copy.sum() / copies.factor).alias("sum"),
        pl.col("value").max().alias("most"),
        (pl.col("value") > 0).sum().alias("holders"),
        pl.col("largest").max(),
        pl.col("rows").max().alias("most_rows"),
        pl.col("rows").sum().alias("rows"),
    )
    # Of the pods of all tenants: one that a tenant never sent to has its share too.
    sharing = [place for place, measure in enumerate(measures) if "shared" in measure.told_as]
    sharers = (
        pods.filter(pl.col("measure").is_in(sharing if shared else []))
        .group_by("measure")
        .agg(pl.col("pod").n_unique().alias("sharers"))
    )
    told = _told(measures, copies=copies)
    value = pl.coalesce(pl.when(pl.col("how") == how).then(_VALUE_OF[how]) for how in _VALUE_OF)
    return (
        tenants.join(sharers, on="measure", how="left", maintain_order="none")
        .join(told, on="measure", maintain_order="none")
        .select(pl.col("user").cast(pl.String), "signal", value.alias("value"), "rate", "zeros")
        .filter(pl.col("zeros") | (pl.col("value") != 0))
        .drop("zeros")
    )


def _packed(key: Sequence[str]) -> pl.Expr:
    """The columns of a key as one number: groups of one integer cost half of those of several.

    Eight million tenants have room in it.
    """
    bits = {"user": 23, "pod": 32, "measure": 8, "copied": 1}
    packed = pl.lit(0, dtype=pl.UInt64)
    for name in key:
        of = pl.col(name).to_physical() if name in {"user", "pod"} else pl.col(name)
        packed = packed * 2 ** bits[name] + of.cast(pl.UInt64)
    return packed.alias("packed")


def _told(measures: Sequence[Measure], *, copies: Copies) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (
                place,
                how,
                signal,
                copies.factor if measure.copied else 1.0,
                measure.rate,
                measure.zeros,
            )
            for place, measure in enumerate(measures)
            for how, signal in measure.told_as.items()
        ],
        schema={
            "measure": TERMS["measure"],
            "how": pl.String(),
            "signal": SAMPLES["signal"],
            "factor": pl.Float64(),
            "rate": pl.Boolean(),
            "zeros": pl.Boolean(),
        },
        orient="row",
    )
