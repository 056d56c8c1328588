"""Turn two readings of the same counters into rates, pod by pod.

Nothing here adds pods up: a restarted pod must not hide in a sum. A pod without two readings
that are some time apart has no rate at all, which is not the same as a rate of zero.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import polars as pl

from policy.frames import READINGS

_KEY: Final = ("pod", "family", "user", "reason")

RATES: Final = pl.Schema(
    {
        **{name: READINGS[name] for name in _KEY},
        "per_second": pl.Float64(),
    }
)


def rates(
    previous: pl.DataFrame,
    current: pl.DataFrame,
    *,
    families: Collection[str] | None = None,
    seconds: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """What each counter grew by per second between two scrapes.

    A counter that fell was reset and has grown by its present value since (Prometheus' rule). A
    counter that is new on a pod that was there before started at zero in between: Mimir makes a
    tenant's counters at its first sample and removes them when it is idle. Prometheus would give
    no rate and so miss the first interval of a blast.

    Args:
        previous: READINGS of the earlier scrape.
        current: READINGS of the later one. Only families that end in `_total` are counters; rows
            that differ only in labels that are no key are summed first.
        families: the counters to look at; None is all of them.
        seconds: the answer of `seconds_between`, where it is at hand.

    Returns:
        RATES, never negative. A counter that vanished gives no row, nor does a pod that is not
        in both scrapes or whose clock did not advance. A counter may have several rows, which add
        up to its rate: those that differ in labels that are no key.
    """
    now, before = pl.col("after"), pl.col("before")
    seconds = seconds_between(previous, current) if seconds is None else seconds
    grown = (now - before) / pl.col("seconds")
    if (both := _side_by_side(previous, current, families=families)) is not None:
        return both.join(seconds, on="pod", maintain_order="none").select(
            *_KEY, grown.alias("per_second")
        )
    return (
        # Both scrapes are summed in one go: a join of them would cost as much again.
        pl.concat(
            [
                _counters(current, families=families, into="after", empty="before"),
                _counters(previous, families=families, into="before", empty="after"),
            ]
        )
        .group_by(_KEY)
        .agg(now.sum(), before.sum(), now.is_not_null().any().alias("here"))
        .filter("here")
        .join(seconds, on="pod", maintain_order="none")
        .select(
            *_KEY,
            pl.when(now < before)
            .then(now / pl.col("seconds"))
            .otherwise(grown)
            .alias("per_second"),
        )
    )


def _side_by_side(
    previous: pl.DataFrame, current: pl.DataFrame, *, families: Collection[str] | None
) -> pl.DataFrame | None:
    """The counters with both values, when row by row the scrapes tell the same and none fell.

    That is what two looks at a calm cluster are like, and nothing has to be found then. A counter
    of several rows has not fallen when none of them has, and grew by what they grew by.
    """
    if previous.height != current.height:
        return None
    if not all((previous[name].eq_missing(current[name])).all() for name in _KEY):
        return None
    both = (
        current.select(*_KEY, pl.col("value").alias("after"))
        .with_columns(previous["value"].alias("before"))
        .filter(_wanted(families))
    )
    return None if (both["after"] < both["before"]).any() else both


def seconds_between(previous: pl.DataFrame, current: pl.DataFrame) -> pl.DataFrame:
    """The time between the two answers of each pod that has a rate.

    Returns:
        Columns pod and seconds, more than zero.
    """
    # A pod's rows stand together and are mostly of one moment, so few are left to group.
    turns = pl.any_horizontal(pl.col("pod", "at").ne_missing(pl.col("pod", "at").shift()))
    before, after = (
        readings.select("pod", "at").filter(turns).group_by("pod").agg(pl.col("at").max())
        for readings in (previous, current)
    )
    return (
        after.join(before, on="pod", suffix="_before")
        .select(
            "pod",
            ((pl.col("at") - pl.col("at_before")).dt.total_microseconds() / 1e6).alias("seconds"),
        )
        .filter(pl.col("seconds") > 0)
    )


def _counters(
    readings: pl.DataFrame, *, families: Collection[str] | None, into: str, empty: str
) -> pl.DataFrame:
    order = sorted((into, empty))
    return (
        readings.select(*_KEY, pl.col("value").alias(into))
        .filter(_wanted(families))
        .with_columns(pl.lit(None, dtype=pl.Float64).alias(empty))
        .select(*_KEY, *order)
    )


def _wanted(families: Collection[str] | None) -> pl.Expr:
    if families is None:
        return pl.col("family").cat.ends_with("_total")
    return pl.col("family").is_in(list(families))
