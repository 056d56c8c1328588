"""Size a limit on the demand that was estimated: buffer, rounding, bounds.

Every number on the way stays a column, so that the steps can be told afterwards. Demand is
uncensored, so refused samples are already in the demand on a rate; refused series are not, and
nobody can count them, so the demand on series counts for more while the limit bites. So does that
on all limits on what there is, rather than on what comes per second.

Columns added: `bumped` (the demand, more where the limit bites), `wide` (widened for want of
history), `own` (with the buffer), `wanted`, `floor` (what a lowering may not go below),
`rounded`, `target` (within the bounds), and `basis`, the words for how it came about.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from policy.catalogue import rates
from policy.figures import TIMES, figure, grouped
from policy.layers import bounded
from policy.rules import Rules
from policy.signals import INGESTION_BURST_SIZE, PRESSURE_ON, SERIES

_BURSTS: Final = (INGESTION_BURST_SIZE, "request_burst_size")
_BITES_DAYS: Final = 1  # today's refusals and yesterday's: what was raised since shows by then
_FULL: Final = 1.005  # a widening that two digits do not show
_SLACK = 1e-9  # a product that is whole but for the last bit is not rounded up again


def by_demand(rows: pl.DataFrame, *, rules: Rules) -> pl.DataFrame:
    """Targets of the limits that follow from their own demand.

    Args:
        rows: tenant, limit, before, buffer (a factor), and what ESTIMATES says of them.
        rules: bounds and factors.
    """
    uncounted = set(PRESSURE_ON) - {*rates(rules.catalogue), *_BURSTS}
    bites = pl.col("limit").is_in(list(uncounted)) & (pl.col("pressed_days_ago") <= _BITES_DAYS)
    least = _least(rules)
    sized = _rounded(
        rows.with_columns(bites=bites.fill_null(value=False))
        .with_columns(
            bumped=pl.when("bites")
            .then(pl.col("demand") * rules.refused_series_factor)
            .otherwise("demand"),
            floor=pl.col("recent") * rules.floor_factor,
        )
        .with_columns(wide=pl.col("bumped") * pl.col("widening"))
        .with_columns(own=pl.col("wide") * pl.col("buffer"))
        .with_columns(
            wanted=pl.when(pl.col("own").is_not_null()).then(pl.max_horizontal("own", least)),
            basis=pl.when(pl.col("own") < least)
            .then(pl.concat_str(pl.lit("no less than Mimir's default of "), grouped(least)))
            .otherwise(_demand_basis(rules)),
        ),
        rules=rules,
    )
    # A limit that somebody set below the default, and that suffices, needs no raise.
    enough = (pl.col("before") < least) & (pl.col("before") >= pl.max_horizontal("own", "floor"))
    kept = enough.fill_null(value=False) & (pl.col("before") > 0)
    before = pl.col("before")
    return sized.with_columns(
        wanted=pl.when(kept).then(before).otherwise("wanted"),
        rounded=pl.when(kept).then(before).otherwise("rounded"),
        target=pl.when(kept).then(bounded(before, bounds=rules.bounds)).otherwise("target"),
        basis=pl.when(kept)
        .then(pl.format("below Mimir's default of {} already, and enough", grouped(least)))
        .otherwise("basis"),
    )


def _least(rules: Rules) -> pl.Expr:
    floors = {name: rules.catalogue[name].floor for name in rules.limits}
    return pl.col("limit").replace_strict(floors, default=0.0, return_dtype=pl.Float64)


def _demand_basis(rules: Rules) -> pl.Expr:
    """The demand, what it counts for while more was refused, want of history, the buffer."""
    limit = pl.col("limit")
    what = pl.when(limit == SERIES).then(pl.lit("series are")).otherwise(pl.lit("more is"))
    bumped = pl.concat_str(
        pl.lit(f" {TIMES} {rules.refused_series_factor:g} ("), what, pl.lit(" refused)")
    )
    return pl.concat_str(
        pl.lit("demand "),
        grouped(pl.col("demand")),
        pl.when(limit.is_in(list(rates(rules.catalogue)))).then(pl.lit("/s")).otherwise(pl.lit("")),
        pl.when("bites").then(bumped).otherwise(pl.lit("")),
        pl.when(pl.col("widening") > _FULL)
        .then(
            pl.concat_str(
                pl.lit(f" {TIMES} "),
                grouped(pl.col("widening").round(2)),
                pl.lit(" (little history)"),
            )
        )
        .otherwise(pl.lit("")),
        pl.lit(f" {TIMES} "),
        grouped(pl.col("buffer")),
    )


def by_rate(rows: pl.DataFrame, *, rules: Rules) -> pl.DataFrame:
    """Targets of the burst, which follows the rate in force and the busiest distributor.

    Args:
        rows: tenant, limit, buffer, what ESTIMATES says of them (in samples/s of the busiest
            distributor, or null), `rate`: the rate that will be in force, null when unknown, and
            `request`: the highest mean of samples per request, or null.
        rules: bounds and factors.
    """
    followed = pl.col("rate") * rules.burst_factor
    carried = pl.col("request") * rules.request_factor
    by_distributor = pl.concat_str(
        pl.lit("busiest distributor "),
        grouped(pl.col("wide")),
        pl.lit(f"/s {TIMES} "),
        grouped(pl.col("buffer")),
    )
    by_factor = pl.concat_str(
        pl.lit(f"{rules.burst_factor:g} {TIMES} the rate of "),
        grouped(pl.col("rate")),
        pl.lit("/s"),
    )
    by_request = pl.concat_str(
        pl.lit(f"{rules.request_factor:g} {TIMES} the mean request of "),
        grouped(pl.col("request")),
        pl.lit(" samples"),
    )
    return _rounded(
        rows.with_columns(
            bumped=pl.col("demand"),
            wide=pl.col("demand") * pl.col("widening"),
            bites=pl.lit(value=False),
            floor=pl.max_horizontal(pl.col("recent") * rules.floor_factor, "rate"),
        )
        .with_columns(own=pl.col("wide") * pl.col("buffer"))
        .with_columns(
            wanted=pl.when(pl.col("rate").is_not_null()).then(
                pl.max_horizontal(followed, carried, "own", pl.lit(rules.burst_floor))
            ),
            basis=pl.when(pl.max_horizontal(followed, carried, "own") < rules.burst_floor)
            .then(pl.lit(f"no less than Mimir's default of {figure(rules.burst_floor)}"))
            .when(carried > pl.max_horizontal(followed, "own"))
            .then(by_request)
            .when(pl.col("own") > followed)
            .then(by_distributor)
            .otherwise(by_factor),
        ),
        rules=rules,
    )


def round_up(value: pl.Expr) -> pl.Expr:
    """Up to two significant digits, and to a whole number: 12,887.5 becomes 13,000."""
    size = pl.lit(10.0).pow((value.log10() - 1).floor()).clip(1.0)
    return (value / size - _SLACK).ceil() * size


def _rounded(rows: pl.DataFrame, *, rules: Rules) -> pl.DataFrame:
    return (
        rows.with_columns(rounded=round_up(pl.max_horizontal("wanted", "floor")))
        .with_columns(rounded=pl.when(pl.col("wanted").is_not_null()).then("rounded"))
        .with_columns(
            target=pl.when(pl.col("rounded").is_not_null()).then(
                bounded(pl.col("rounded"), bounds=rules.bounds)
            )
        )
        .with_columns(basis=_bounded_basis())
    )


def _bounded_basis() -> pl.Expr:
    end = (
        pl.when(pl.col("target") < pl.col("rounded"))
        .then(pl.lit(", held to the maximum"))
        .when(pl.col("target") > pl.col("rounded"))
        .then(pl.lit(", lifted to the minimum"))
        .when(pl.col("rounded") > pl.max_horizontal("wanted", "floor"))
        .then(pl.lit(", rounded"))
        .otherwise(pl.lit(""))
    )
    return pl.concat_str("basis", end)
