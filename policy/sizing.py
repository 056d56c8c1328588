"""Size a limit on what was asked for: peak, buffer, rounding, bounds.

Every number on the way stays a column, so that the steps can be told afterwards. Demand is
uncensored, so refused samples are already in the peak of a rate; refused series are not, and
nobody can count them, so a series peak counts for more while the limit bites.

Columns added: `demand` (the peak, bumped where the limit bites), `own` (demand and buffer),
`wanted`, `floor` (what a lowering may not go below), `rounded`, `target`, and `basis`, the
words for how it came about.
"""

from __future__ import annotations

import polars as pl

from policy.figures import TIMES, figure, grouped
from policy.layers import bounded
from policy.rules import Rules
from policy.signals import INGESTION_RATE, SERIES

_SLACK = 1e-9  # a product that is whole but for the last bit is not rounded up again


def by_peak(rows: pl.DataFrame, *, rules: Rules) -> pl.DataFrame:
    """Targets of the limits that follow from their own peak.

    Args:
        rows: tenant, limit, peak, pressure, buffer (a factor).
        rules: bounds and factors.
    """
    unit = pl.when(pl.col("limit") == INGESTION_RATE).then(pl.lit("/s")).otherwise(pl.lit(""))
    bites = (pl.col("limit") == SERIES) & (pl.col("pressure") > 0)
    basis = pl.concat_str(
        pl.lit("peak "),
        grouped(pl.col("peak")),
        unit,
        pl.when(pl.col("bites"))
        .then(pl.lit(f" {TIMES} {rules.refused_series_factor:g} (series are refused)"))
        .otherwise(pl.lit("")),
        pl.lit(f" {TIMES} "),
        grouped(pl.col("buffer")),
    )
    return _rounded(
        rows.with_columns(bites=bites.fill_null(value=False))
        .with_columns(
            demand=pl.when("bites")
            .then(pl.col("peak") * rules.refused_series_factor)
            .otherwise("peak"),
            floor=pl.col("peak") * rules.floor_factor,
        )
        .with_columns(own=pl.col("demand") * pl.col("buffer"))
        .with_columns(wanted=pl.col("own"), basis=basis),
        rules=rules,
    )


def by_rate(rows: pl.DataFrame, *, rules: Rules) -> pl.DataFrame:
    """Targets of the burst, which follows the rate in force and the busiest distributor.

    Args:
        rows: tenant, limit, peak (samples/s of the busiest distributor, or null), buffer, and
            `rate`: the rate that will be in force, null when unknown.
        rules: bounds and factors.
    """
    followed = pl.col("rate") * rules.burst_factor
    by_distributor = pl.concat_str(
        pl.lit("busiest distributor "),
        grouped(pl.col("peak")),
        pl.lit(f"/s {TIMES} "),
        grouped(pl.col("buffer")),
    )
    by_factor = pl.concat_str(
        pl.lit(f"{rules.burst_factor:g} {TIMES} the rate of "),
        grouped(pl.col("rate")),
        pl.lit("/s"),
    )
    return _rounded(
        rows.with_columns(
            demand=pl.col("peak"),
            own=pl.col("peak") * pl.col("buffer"),
            bites=pl.lit(value=False),
            floor=pl.max_horizontal(pl.col("peak") * rules.floor_factor, "rate"),
        ).with_columns(
            wanted=pl.when(pl.col("rate").is_not_null()).then(
                pl.max_horizontal(followed, "own", pl.lit(rules.burst_floor))
            ),
            basis=pl.when(pl.max_horizontal(followed, "own") < rules.burst_floor)
            .then(pl.lit(f"no less than Mimir's default of {figure(rules.burst_floor)}"))
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
