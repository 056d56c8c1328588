"""What measured usage costs. Money is decimal from the price to the sum."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

import polars as pl

from policy.frames import UTC_TIME

METHOD: Final = "samples"
MILLION: Final = 1_000_000
_QUANTITY: Final = pl.Decimal(38, 9)  # millions of samples, down to a thousandth of a sample
_AMOUNT: Final = pl.Decimal(18, 6)


def price_samples(
    usage: pl.DataFrame, *, hour: datetime, price_per_million: Decimal, currency: str
) -> pl.DataFrame:
    """Price the samples that Mimir accepted of each tenant in one hour.

    Args:
        usage: tenant, value_seconds: samples/s times seconds, which is samples.
        hour: start of the hour, aware UTC.
        price_per_million: of a million samples.
        currency: of the price.

    Returns:
        Columns at, tenant, method, amount, currency, quantity (samples), price.
    """
    millions = (pl.col("value_seconds") / MILLION).cast(_QUANTITY)
    return usage.select(
        pl.lit(hour).cast(UTC_TIME).alias("at"),
        "tenant",
        method=pl.lit(METHOD),
        amount=(millions * pl.lit(price_per_million)).cast(_AMOUNT),
        currency=pl.lit(currency),
        quantity="value_seconds",
        price=pl.lit(price_per_million).cast(pl.Decimal(18, 9)),
    )
