"""What was saved by recommendations that were followed."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from policy.cost.realised import DAYS_OF_USAGE, FOLLOWED, STOOD, followed, spent_less, undone
from policy.cost.recommendation import MEASURED, SAVINGS

NOW = datetime(2026, 11, 26, 12, 6, tzinfo=UTC)
RATE, SERIES = "ingestion_rate", "max_global_series_per_user"
MONTH_OF = {RATE: Decimal(2), SERIES: Decimal("0.01")}
NONE = SAVINGS.to_frame()
STEADY = [9_900.0, 10_100.0, *[10_000.0] * 5]  # spread: the root of 20,000 / 6, which is 57.7


def stood(**told: Any) -> pl.DataFrame:  # noqa: ANN401 - columns
    row: dict[str, Any] = {
        "kind": "unused quota",
        "tenant": "acme",
        "limit": RATE,
        "because": "",
        "realised": 0,
    }
    row |= {"command": "", "value": 5_000.0, "target": 850.0, "first_value": 9_000.0, "since": NOW}
    return pl.DataFrame([row | told], schema=STOOD)


def measured(value: float | None, *, kind: str = "unused quota", limit: str | None = RATE) -> Any:  # noqa: ANN401 - a frame
    return pl.DataFrame([(kind, "acme", limit, value)], schema=MEASURED, orient="row")


def holds(**told: Any) -> pl.DataFrame:  # noqa: ANN401 - columns
    row: dict[str, Any] = {
        "kind": "churn",
        "tenant": "acme",
        "limit": None,
        "since": NOW,
        "recommended_since": NOW,
    }
    row |= {"value": 6.0, "reached": 2.0, "target": 3.0, "because": ""}
    return pl.DataFrame([row | told], schema=FOLLOWED)


def weeks(
    *, series: list[float], samples: list[float] | None = None, hours: int = 24
) -> pl.DataFrame:
    rows = [
        ("acme", NOW, day - 7, hours, sent, active)
        for day, (active, sent) in enumerate(zip(series, samples or [500.0] * 14, strict=False))
    ]
    return pl.DataFrame(rows, schema=DAYS_OF_USAGE, orient="row")


def spend(held: pl.DataFrame, days: pl.DataFrame) -> list[Decimal | None]:
    return spent_less(held, days=days, month_of=MONTH_OF)["spend"].to_list()


@pytest.mark.parametrize(
    ("value", "exposures"),
    [(850.0, [8_150 * 2]), (1_000.0, [8_000 * 2]), (1_000.1, []), (None, [])],
)
def test_a_limit_that_came_down_to_what_was_asked_was_followed(
    value: float | None, exposures: list[int]
) -> None:
    """
    It fits within a band of 15 %: 850 is asked for, and 1,000 is not lowered for 15 % less.
    """
    found = followed(stood(), found=NONE, now=measured(value), band=0.15, month_of=MONTH_OF, at=NOW)

    assert found["exposure"].to_list() == exposures
    assert found["value"].to_list() == [9_000.0] * len(exposures)


def test_what_still_stands_was_not_followed() -> None:
    still = stood().select(SAVINGS.names())

    found = followed(
        stood(), found=still, now=measured(850.0), band=0.15, month_of=MONTH_OF, at=NOW
    )

    assert found.is_empty()


@pytest.mark.parametrize(("value", "count"), [(3.0, 1), (3.01, 0)])
def test_what_is_measured_has_no_band(value: float, count: int) -> None:
    churn = stood(kind="churn", limit=None, target=3.0, first_value=6.0)

    found = followed(
        churn,
        found=NONE,
        now=measured(value, kind="churn", limit=None),
        band=0.15,
        month_of=MONTH_OF,
        at=NOW,
    )

    assert found.height == count
    assert found["exposure"].to_list() == [None] * count


def test_it_is_undone_when_it_is_as_before() -> None:
    def told(value: float) -> int:
        return undone(holds(), found=NONE, now=measured(value, kind="churn", limit=None)).height

    assert (told(5.9), told(6.0)) == (0, 1)


def test_series_that_went_are_spend_at_the_price_of_a_month() -> None:
    assert spend(holds(), weeks(series=STEADY + [6_000.0] * 7)) == [Decimal(40)]


def test_what_days_differ_by_anyway_is_no_saving() -> None:
    assert spend(holds(), weeks(series=STEADY + [9_943.0] * 7)) == [0]
    assert spend(holds(), weeks(series=STEADY + [9_942.0] * 7)) == [Decimal("0.58")]
    assert spend(holds(), weeks(series=STEADY + [12_000.0] * 7)) == [0]


def test_where_samples_fell_as_well_nobody_knows_why() -> None:
    fell = [500.0] * 7 + [300.0] * 7

    assert spend(holds(), weeks(series=STEADY + [6_000.0] * 7, samples=fell)) == [None]


@pytest.mark.parametrize("days", [13, 7, 0])
def test_before_seven_whole_days_nothing_is_known(days: int) -> None:
    whole = weeks(series=STEADY + [6_000.0] * 7)

    assert spend(holds(), whole.head(days)) == []
    assert spend(holds(), weeks(series=STEADY + [6_000.0] * 7, hours=23)) == []


@pytest.mark.parametrize(
    ("limit", "expected"), [(600.0, 0), (500.0, 0), (400.0, 100 * 2), (100.0, 300 * 2)]
)
def test_a_limit_saves_no_more_than_it_can_have_cut(limit: float, expected: int) -> None:
    """
    Samples fell from 500 to 200 a second. A limit of 400 explains 100 of that, one of 600 nothing.
    """
    held = holds(kind="unused quota", limit=RATE, reached=limit)
    days = weeks(series=[1.0] * 14, samples=[500.0] * 7 + [200.0] * 7)

    assert spend(held, days) == [expected]
