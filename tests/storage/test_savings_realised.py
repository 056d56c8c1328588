"""What the history tells of samples sent twice and of how far queries reach."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from policy.signals import DISCARDED_DUPLICATES, QUERY_REACH, SAMPLES_RECEIVED
from storage.database import Database
from storage.rollups import ROLLUPS, import_rollups
from storage.savings import reach_of_queries, sent_twice

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WEEK = 7 * DAY


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

    assert sent_twice(database, since=start - WEEK).rows() == [("acme", 20.0, 1_000.0, 0.0)]
    assert reach_of_queries(database, since=start - WEEK, now=now).rows() == [
        ("acme", 3, 3 * 86_400.0, None)
    ]
