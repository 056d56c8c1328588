"""The artifact of `optimize` names what tells the limits in force differently."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from flows.words import DIFFERING_SHOWN, optimize_report
from policy.frames import CHANGES, DECISIONS, empty
from policy.sources import DISAGREEMENTS
from tasks.publish import Publication

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def report(*rows: tuple[object, ...]) -> str:
    return optimize_report(
        empty(DECISIONS),
        publication=Publication(outcome="nothing", changes=empty(CHANGES)),
        differing=pl.DataFrame(list(rows), schema=DISAGREEMENTS, orient="row"),
        window="48h",
        now=NOON,
    )


def test_each_difference_is_a_row_with_its_cause() -> None:
    text = report(("acme", "ingestion_rate", "here", 5000.0, "there", 6.0, "it lags"))

    assert "Told differently: 1 limit" in text
    assert "| acme | ingestion_rate | 5,000 by here | 6 by there | it lags |" in text


def test_a_difference_of_every_tenant_does_not_flood_the_page() -> None:
    row = ("ingestion_rate", "here", 5.0, "there", 6.0, "it lags")
    text = report(*((f"tenant-{number}", *row) for number in range(DIFFERING_SHOWN + 5)))

    assert f"Told differently: {DIFFERING_SHOWN + 5} limits" in text
    assert text.count("it lags") == DIFFERING_SHOWN


def test_where_all_agree_nothing_is_said() -> None:
    assert "differently" not in report()
