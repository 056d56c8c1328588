"""What the whole cluster costs by the hour: a month's bill over the hours of that month.

An hour belongs to the month, and to the price list, that it begins in. The amounts of a month's
hours add up to its bill, to the last digit.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
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
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
BILLS: Final = pl.Schema({"at": UTC_TIME, "currency": pl.String(), "amount": AMOUNT})


def bills(book: PriceBook, *, start: datetime, end: datetime, zone: ZoneInfo) -> pl.DataFrame:
    """BILLS of the whole UTC hours that begin in [start, end); none where there is no bill.

    A month has as many hours as its clocks let it have, and its bill is spread evenly over them.
    """
    rows = [
        (at, book.currency, _of_hour(held.monthly_bill, at=at, zone=zone))
        for begins, until, held in book.between(start, end)
        if held.monthly_bill is not None
        for at in (_EPOCH + n * HOUR for n in range(_hours_before(begins), _hours_before(until)))
    ]
    return pl.DataFrame(rows, schema=BILLS, orient="row")


def _of_hour(monthly: Decimal, *, at: datetime, zone: ZoneInfo) -> Decimal:
    """What the bill of the month has come to by the end of the hour, less that by its start."""
    month = period("month", at=at, zone=zone)
    first, after = _hours_before(month.start), _hours_before(month.end)
    place = _hours_before(at) - first

    def by(hours: int) -> Decimal:
        return (monthly * hours / (after - first)).quantize(_BILLIONTH, rounding=ROUND_HALF_EVEN)

    return by(place + 1) - by(place)


def _hours_before(moment: datetime) -> int:
    """How many whole UTC hours begin before the moment, since 1970."""
    return -((_EPOCH - moment) // HOUR)
