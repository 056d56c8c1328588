"""Which price list holds at which moment. Money is decimal; a price that is not known is None."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

from policy.settings.cost import CostControl

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """What things cost from a moment on, until the next list, in one currency.

    Attributes:
        since: aware UTC.
        per_million_samples: of samples that were accepted.
        per_thousand_series_hours: of a thousand active series for an hour.
        per_query, per_query_second: of a query, and of a second of a querier.
        per_gb_month: of object storage.
        per_core_hour, per_memory_gb_hour, per_disk_gb_month: of the cluster.
        monthly_bill: what all of it costs a month; None where no bill is known.
        calibrate: the bill is charged, whole, in the proportion of these prices.
    """

    since: datetime
    per_million_samples: Decimal | None = None
    per_thousand_series_hours: Decimal | None = None
    per_query: Decimal | None = None
    per_query_second: Decimal | None = None
    per_gb_month: Decimal | None = None
    per_core_hour: Decimal | None = None
    per_memory_gb_hour: Decimal | None = None
    per_disk_gb_month: Decimal | None = None
    monthly_bill: Decimal | None = None
    calibrate: bool = False

    @property
    def components(self) -> frozenset[str]:
        """The components of a cost that have a price."""
        of = {
            "samples": (self.per_million_samples,),
            "series": (self.per_thousand_series_hours,),
            "queries": (self.per_query, self.per_query_second),
            "storage": (self.per_gb_month,),
            "resource": (self.per_core_hour, self.per_memory_gb_hour, self.per_disk_gb_month),
        }
        return frozenset(name for name, prices in of.items() if prices != (None,) * len(prices))


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook:
    """Every list, the oldest first; the first holds for all time before it, too."""

    currency: str
    lists: tuple[PriceList, ...]

    def between(
        self, start: datetime, end: datetime
    ) -> Iterator[tuple[datetime, datetime, PriceList]]:
        """The parts of [start, end) that one list holds for, each with that list."""
        ends: Sequence[datetime] = [*(each.since for each in self.lists[1:]), end]
        for number, (held, until) in enumerate(zip(self.lists, ends, strict=True)):
            begins = start if number == 0 else max(start, held.since)
            if begins < min(until, end):
                yield begins, min(until, end), held


def price_book(settings: CostControl) -> PriceBook:
    """The book that the settings write; without lists, samples at `costPerUnit` a million."""
    zone = ZoneInfo(settings.time_zone)
    written = [
        PriceList(
            since=_midnight(each.since, zone=zone),
            **each.model_dump(exclude={"since", "currency"}),
        )
        for each in settings.prices
    ]
    plain = PriceList(since=BEGINNING, per_million_samples=settings.cost_per_unit)
    return PriceBook(
        currency=settings.global_budget.currency,
        lists=tuple(written) or (plain,),
    )


def _midnight(day: date, *, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
