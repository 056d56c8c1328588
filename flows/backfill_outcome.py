"""What came of a backfill, read from the history: here, or from any other process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import polars as pl

from policy.cost.periods import Period
from policy.cost.prices import price_book
from policy.settings.cost import CostControl
from storage.backfills import marks_of
from storage.database import Database
from storage.reading import known_tenants
from storage.spending import spent
from storage.usage import tenants_between


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """What a part of the range cost by the list that held for it; None: nothing has a price."""

    since: datetime
    until: datetime
    amount: Decimal | None
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What came of a backfill.

    Attributes:
        asked: the range.
        origin: where it came from.
        marks: MARKS of the days that were stored.
        skipped: days that had been stored before.
        absent: tenants that are known and have no usage in the range.
        priced: the range by price list.
    """

    asked: Period
    origin: str
    marks: pl.DataFrame
    skipped: int
    absent: Sequence[str]
    priced: Sequence[Priced]

    @property
    def known(self) -> pl.DataFrame:
        """Those MARKS that are of a day of which something is known."""
        return self.marks.filter(pl.col("state") == "done")


def outcome_of(
    where: str | Database,
    rules: CostControl,
    *,
    asked: Period,
    origin: str,
    skipped: int,
    run_id: str,
) -> Outcome:
    """What came of a run.

    Raises:
        StorageError: the history cannot be reached.
    """
    present = tenants_between(where, start=asked.start, end=asked.end)
    return Outcome(
        asked=asked,
        origin=origin,
        marks=marks_of(where, run_id=run_id),
        skipped=skipped,
        absent=sorted(set(known_tenants(where)) - set(present)),
        priced=_priced(where, rules, whole=asked) if rules.enabled else [],
    )


def _priced(where: str | Database, rules: CostControl, *, whole: Period) -> list[Priced]:
    """What the range cost, by price list."""
    book = price_book(rules)
    parts = [
        Period(start=begins, end=until) for begins, until, _ in book.between(whole.start, whole.end)
    ]
    found = spent(where, parts)
    return [
        Priced(since=part.start, until=part.end, amount=_sum(own["amount"]), currency=book.currency)
        for number, part in enumerate(parts)
        for own in [found.filter(pl.col("number") == number)]
    ]


def _sum(amounts: pl.Series) -> Decimal | None:
    known = amounts.drop_nulls()
    return None if known.is_empty() else sum(known, Decimal(0))
