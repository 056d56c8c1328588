"""Numbers as a person reads them, for one value and for a whole column.

10310.4 becomes "10,310" and 0.25 stays "0.25"; both functions give the same text.
"""

from __future__ import annotations

from math import isfinite, isnan
from typing import Final

import polars as pl

TIMES: Final = "\N{MULTIPLICATION SIGN}"

_WHOLE_FROM: Final = 100.0  # a fraction of a number this large tells nobody anything
_PLAIN_BELOW: Final = 1e18  # what fits an Int64; beyond, the exponent is the readable form


def figure(value: float | None) -> str:
    """One value with its thousands separated; "unknown" for None."""
    if value is None:
        return "unknown"
    if not isfinite(value):
        return "NaN" if isnan(value) else str(value)
    rounded = round(value) if abs(value) >= _WHOLE_FROM else round(value, 2)
    return f"{int(rounded):,}" if rounded == int(rounded) else f"{rounded:,}"


def grouped(value: pl.Expr) -> pl.Expr:
    """A column of floats as text, thousands separated; null becomes "unknown".

    From 100 on the fraction is rounded away, below it two digits of it are kept.
    """
    rounded = pl.when(value.abs() >= _WHOLE_FROM).then(value.round(0)).otherwise(value.round(2))
    whole = (rounded == rounded.floor()) & (rounded.abs() < _PLAIN_BELOW)

    digits = pl.when(whole).then(rounded.abs()).cast(pl.Int64).cast(pl.String)
    # Grouped from the right, so on the reversed text: Rust's regexes cannot look ahead.
    backwards = digits.str.reverse().str.replace_all(r"(\d{3})", "${1},")
    thousands = backwards.str.reverse().str.strip_prefix(",")
    sign = pl.when(rounded < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    return pl.coalesce(sign + thousands, rounded.cast(pl.String), pl.lit("unknown"))
