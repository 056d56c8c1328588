"""A recommendation to save: its three figures, why, and what to do.

`exposure` is what the worst bill that limits allow would fall by: nobody pays it today. `avoided`
is what the forecast would fall by, null where that is not known. `realised` is what was saved by
now: nothing, for as long as a recommendation is one. The three are never added up.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import polars as pl

from policy.cost.budgets import MONEY
from policy.cost.pricing import Terms
from policy.cost.usage import HOURS_PER_MONTH, SECONDS_PER_HOUR
from policy.signals import INGESTION_RATE, SERIES

# What tells a recommendation from the others. `limit` is null where it is about no single one.
KEYS: Final = ("kind", "tenant", "limit")
# One row per recommendation; amounts are of a month, in the currency of the prices. `value` is what
# it is about as it is now, and `target` as it should be: a limit, a share, days; null where it is
# no one number. `command` is what to type, or YAML to put into a runtime file or the settings.
SAVINGS: Final = pl.Schema(
    {
        **dict.fromkeys(KEYS, pl.String()),
        "exposure": MONEY,
        "avoided": MONEY,
        "realised": MONEY,
        "because": pl.String(),
        "command": pl.String(),
        "value": pl.Float64(),
        "target": pl.Float64(),
    }
)
# What is now of what recommendations are about, also where none stands; null where not measured.
MEASURED: Final = pl.Schema({**dict.fromkeys(KEYS, pl.String()), "value": pl.Float64()})
TOLD_OF_SPEND: Final = Decimal("0.05")
TOLD_OF_EXPOSURE: Final = Decimal("0.10")
NOTHING: Final = pl.lit(Decimal(0), dtype=MONEY)
UNKNOWN: Final = pl.lit(None, dtype=MONEY)
_GIVEN: Final = ("tenant", "limit")


def month_of(terms: Terms) -> dict[str, Decimal]:
    """What a month of one unit of each limit costs, used in full, as the method books it."""
    held = terms.book.lists[-1]
    counted = terms.counted(held)
    hours = Decimal(HOURS_PER_MONTH)
    full = {
        (INGESTION_RATE, "samples"): _times(
            held.per_million_samples, hours * Decimal(SECONDS_PER_HOUR) / 1_000_000
        ),
        (SERIES, "series"): _times(held.per_thousand_series_hours, hours / 1_000),
    }
    return {
        limit: price * counted[component]
        for (limit, component), price in full.items()
        if price is not None and component in counted
    }


def recommendation(rows: pl.DataFrame, *, kind: str, **columns: pl.Expr) -> pl.DataFrame:
    """SAVINGS of one kind, a row for each of these, which have `tenant` and `limit`.

    Args:
        rows: whom it is about.
        kind: of all of them.
        columns: of SAVINGS; what is left out is nothing of amounts, and of the rest null.
    """
    plain = {
        name: NOTHING if dtype == MONEY else pl.lit(None, dtype=dtype)
        for name, dtype in SAVINGS.items()
        if name not in _GIVEN
    }
    filled = {**plain, **columns, "kind": pl.lit(kind)}
    return rows.with_columns(**filled).select(SAVINGS.names()).cast(SAVINGS)


def measured(kind: str, rows: pl.DataFrame) -> pl.DataFrame:
    """MEASURED of one kind, of rows with tenant, limit and value."""
    return rows.with_columns(kind=pl.lit(kind)).select(MEASURED.names()).cast(MEASURED)


def worth_telling(
    news: pl.DataFrame, *, spent: Decimal | None, exposed: Decimal | None
) -> pl.DataFrame:
    """Those of SAVINGS that are large: everything else is found by who looks.

    Args:
        news: SAVINGS that did not stand before.
        spent: in the last 30 days; None where nothing was priced.
        exposed: what a month of all limits costs at most; None where none has a price.
    """
    most = pl.max_horizontal("exposure", "avoided")
    if spent:
        return news.filter(most >= pl.lit(spent * TOLD_OF_SPEND, dtype=MONEY))
    if exposed:
        return news.filter(pl.col("exposure") >= pl.lit(exposed * TOLD_OF_EXPOSURE, dtype=MONEY))
    return news.clear()


def priced(units: pl.Expr, month_of: Mapping[str, Decimal], *, limit: str = "limit") -> pl.Expr:
    """What a month of so many units of the limit in that column costs; null without a price."""
    return (units.cast(MONEY) * month_price(pl.col(limit), month_of=month_of)).cast(MONEY)


def month_price(limit: pl.Expr, *, month_of: Mapping[str, Decimal]) -> pl.Expr:
    """What a month of one unit of the limit costs; null where it has no price."""
    return limit.replace_strict(
        list(month_of), list(month_of.values()), default=None, return_dtype=MONEY
    )


def override(limit: pl.Expr, value: pl.Expr) -> pl.Expr:
    """A line that a runtime file takes; a name in quotes is a name whatever it looks like."""
    said = (pl.lit("overrides: {"), quoted("tenant"), pl.lit(": {"), limit, pl.lit(": "))
    return pl.concat_str(*said, value, pl.lit("}}"))


def quoted(name: str) -> pl.Expr:
    """The column as YAML text in quotes."""
    return pl.format("'{}'", pl.col(name).str.replace_all("'", "''", literal=True))


def in_a_shell(name: str) -> pl.Expr:
    """A word of a command line, in quotes where it needs them."""
    plain = pl.col(name).str.contains(r"^[A-Za-z0-9_.-]+$")
    escaped = pl.col(name).str.replace_all("'", "'\\''", literal=True)
    return pl.when(plain).then(name).otherwise(pl.format("'{}'", escaped))


def _times(price: Decimal | None, amount: Decimal) -> Decimal | None:
    return None if price is None else price * amount
