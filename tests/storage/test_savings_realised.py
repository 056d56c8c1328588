"""What was saved by what was followed: a week against the week before."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from policy.cost.bills import BILLS
from policy.cost.pricing import COSTS
from policy.cost.realised import FOLLOWED
from policy.signals import DISCARDED_DUPLICATES, QUERY_REACH, SAMPLES_RECEIVED
from storage.costs import replace_costs
from storage.database import Database
from storage.rollups import ROLLUPS, import_rollups
from storage.savings import note_followed, reach_of_queries, read_realised, realise, sent_twice

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WEEK = 7 * DAY


def price(database: Database, *, start: datetime, hours: int, amount: str) -> None:
    """Let samples of acme cost so much in each of the hours."""
    rows = [
        {
            "at": start + n * HOUR,
            "tenant": "acme",
            "currency": "EUR",
            "method": "samples",
            "amount": Decimal(amount),
            "samples_amount": Decimal(amount),
            "unknown": "",
            "covered_seconds": 3600.0,
        }
        for n in range(hours)
    ]
    replace_costs(
        database,
        pl.DataFrame(rows, schema=COSTS),
        bills=BILLS.to_frame(),
        start=start,
        end=start + hours * HOUR,
        run_id="r",
    )


def note(database: Database, at: datetime) -> None:
    rows = [
        ("duplicate samples", "acme", None, 40.0, None, Decimal(0)),
        ("unused quota", "acme", "ingestion_rate", 9.0, 1.0, Decimal(16)),
    ]
    followed = pl.DataFrame(rows, schema=FOLLOWED, orient="row")
    note_followed(database, followed, currency="EUR", at=at)


def spend(database: Database) -> dict[str, Decimal | None]:
    return dict(read_realised(database).select("kind", "spend").iter_rows())


def test_the_week_since_is_held_against_the_week_before(database: Database, now: datetime) -> None:
    price(database, start=now - WEEK, hours=168, amount="0.5")
    price(database, start=now, hours=169, amount="0.2")
    note(database, now)
    realise(database, now=now + WEEK - HOUR)
    early = spend(database)
    realise(database, now=now + WEEK)

    assert early == {"duplicate samples": None, "unused quota": 0}
    # 168 hours at 0.5 before, 168 at 0.2 after the hour in which it was followed, for a month.
    found = spend(database)["duplicate samples"]
    assert found is not None
    assert float(found) == pytest.approx(168 * 0.3 * 30.4375 / 7)


def test_a_week_that_is_not_priced_says_nothing(database: Database, now: datetime) -> None:
    price(database, start=now - WEEK, hours=150, amount="0.5")
    price(database, start=now, hours=169, amount="0.2")
    note(database, now)
    realise(database, now=now + WEEK)

    assert spend(database)["duplicate samples"] is None


def test_what_was_sent_twice_and_how_far_queries_reach_is_read_from_the_history(
    database: Database, now: datetime
) -> None:
    start = now.replace(hour=0)
    rows = [
        {"at": start - day * DAY, "tenant": "acme", "signal": signal, "count": 1, "coverage": 1.0}
        | dict.fromkeys(("max", "mean", "sum"), value)
        for day in range(1, 4)
        for signal, value in (
            (DISCARDED_DUPLICATES, 10.0 * day),
            (SAMPLES_RECEIVED, 1_000.0),
            (QUERY_REACH, 86_400.0 * day),
        )
    ]
    import_rollups(database, pl.DataFrame(rows, schema=ROLLUPS), now=start, sustained_for=HOUR)

    assert sent_twice(database, since=start - WEEK).rows() == [("acme", 20.0, 1_000.0)]
    assert reach_of_queries(database, since=start - WEEK, now=now).rows() == [
        ("acme", 3, 3 * 86_400.0, None)
    ]
