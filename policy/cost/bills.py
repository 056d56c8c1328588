"""What the whole cluster costs by the hour: a month's bill over the hours of that month."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from policy.cost.periods import period
from policy.cost.prices import PriceBook
from policy.cost.pricing import AMOUNT
from policy.frames import UTC_TIME

HOUR: Final = timedelta(hours=1)
_BILLIONTH: Final = Decimal("0.000000001")
BILLS: Final = pl.Schema({"at": UTC_TIME, "currency": pl.String(), "amount": AMOUNT})


def bills(book: PriceBook, *, start: datetime, end: datetime, zone: ZoneInfo) -> pl.DataFrame:
    """BILLS of the whole hours within [start, end); none where the list has no monthly bill.

    A month has as many hours as its clocks let it have, and its bill is spread evenly over them.
    """
    rows = [
        (at, book.currency, _of_hour(held.monthly_bill, at=at, zone=zone))
        for begins, until, held in book.between(start, end)
        if held.monthly_bill is not None
        for at in (begins + n * HOUR for n in range(-(-(until - begins) // HOUR)))
    ]
    return pl.DataFrame(rows, schema=BILLS, orient="row")


def _of_hour(monthly: Decimal, *, at: datetime, zone: ZoneInfo) -> Decimal:
    hours = Decimal(period("month", at=at, zone=zone).hours)
    return (monthly / hours).quantize(_BILLIONTH, rounding=ROUND_HALF_EVEN)
