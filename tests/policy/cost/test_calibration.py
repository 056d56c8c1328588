"""Prices scaled to the bill, to the last digit, and what is left alone."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from policy.cost.bills import BILLS, bills
from policy.cost.calibration import calibrated
from policy.cost.periods import Period, period
from policy.cost.pricing import COSTS, Terms, priced
from tests.policy.cost.tables import HOUR, NOON, book, usage

A_MILLION = 1e6 / 3600  # samples/s, of which an hour is a million
LIST: dict[str, Any] = {
    "from": date(2026, 1, 1),
    "perMillionSamples": 1,
    "monthlyBill": 720,
    "calibrate": True,
}


def charged(frame: pl.DataFrame, *lists: dict[str, Any]) -> pl.DataFrame:
    """The costs of the frame, calibrated; November has 720 hours."""
    known = book(*lists)
    costs = priced(frame, terms=Terms(book=known, method="samples"))
    start, end = costs["at"].min(), costs["at"].max()
    billed = bills(known, start=start, end=end + HOUR, zone=ZoneInfo("UTC"))  # type: ignore[arg-type,operator]
    found = calibrated(costs, bills=billed, book=known).sort("at", "tenant")
    assert found.schema == COSTS
    return found


def tenants(**millions: float | None) -> pl.DataFrame:
    rows = [
        {"tenant": name, "samples_per_second": None if each is None else each * A_MILLION}
        for name, each in millions.items()
    ]
    return usage(*rows)


def test_the_tenants_of_an_hour_pay_its_bill_in_proportion() -> None:
    """
    One and three million samples are 1 and 3 at list price; the hour costs 1, so a quarter of it
    is 0.25, and three quarters are 0.75.
    """
    found = charged(tenants(a=1, b=3), LIST)

    assert found.select("amount", "listed_amount").rows() == [
        (Decimal("0.25"), Decimal(1)),
        (Decimal("0.75"), Decimal(3)),
    ]


def test_prices_that_exceed_the_bill_come_down_to_it() -> None:
    found = charged(tenants(a=5, b=5), {**LIST, "monthlyBill": 72})

    assert found["amount"].to_list() == [Decimal("0.05"), Decimal("0.05")]


def test_the_last_billionth_goes_to_the_first_of_those_who_lost_the_same() -> None:
    """
    A third of 1 is 0.333333333, three of them lack a billionth.
    """
    found = charged(tenants(c=1, b=1, a=1), LIST)

    assert found["amount"].to_list() == [
        Decimal("0.333333334"),
        Decimal("0.333333333"),
        Decimal("0.333333333"),
    ]


def test_the_last_billionth_goes_to_whom_cutting_took_the_most() -> None:
    """
    Of 1, a sixth is 0.1666…, which loses 0.67 billionths, and five sixths lose 0.33.
    """
    found = charged(tenants(a=5, b=1), LIST)

    assert found["amount"].to_list() == [Decimal("0.833333333"), Decimal("0.166666667")]


def test_who_was_not_measured_pays_nothing_and_stays_unknown() -> None:
    found = charged(tenants(a=1, b=None), LIST)

    assert found["amount"].to_list() == [Decimal(1), None]


def test_an_hour_in_which_nobody_is_charged_anything_is_left_to_idle() -> None:
    found = charged(tenants(a=0, b=None), LIST)

    assert found.select("amount", "listed_amount").rows() == [(Decimal(0), None), (None, None)]


def test_only_hours_of_a_list_that_calibrates_are_scaled() -> None:
    plain = {"from": date(2026, 1, 1), "perMillionSamples": 1, "monthlyBill": 720}
    later = {**LIST, "from": date(2026, 11, 24)}
    frame = usage(
        {"samples_per_second": 3 * A_MILLION},
        {"samples_per_second": 3 * A_MILLION, "at": NOON + 24 * HOUR},
    )

    found = charged(frame, plain, later)

    assert found.select("amount", "listed_amount").rows() == [
        (Decimal(3), None),
        (Decimal(1), Decimal(3)),
    ]


def test_parts_stay_at_list_price() -> None:
    found = charged(tenants(a=3), LIST)

    assert found["samples_amount"].to_list() == [Decimal(3)]


@pytest.mark.parametrize(
    ("zone", "month", "hours"),
    [
        pytest.param("UTC", date(2026, 2, 1), 672, id="february"),
        pytest.param("Europe/Berlin", date(2026, 3, 1), 743, id="an hour less in spring"),
        pytest.param("Europe/Berlin", date(2026, 10, 1), 745, id="an hour more in autumn"),
        pytest.param("Asia/Kolkata", date(2026, 5, 1), 744, id="midnight at half past"),
        pytest.param("Australia/Lord_Howe", date(2026, 4, 1), 720, id="half an hour more"),
    ],
)
def test_the_hours_of_a_month_add_up_to_its_bill(zone: str, month: date, hours: int) -> None:
    """
    A bill that no number of hours divides: 1000.
    """
    local = ZoneInfo(zone)
    of = period(
        "month", at=pl.Series([month]).cast(pl.Datetime("us", "UTC"))[0] + 48 * HOUR, zone=local
    )
    around = Period(start=of.start.replace(minute=0) - HOUR, end=of.end + HOUR)
    known = book({"from": date(2026, 1, 1), "perQuery": 1, "monthlyBill": 1000}, zone=zone)

    found = bills(known, start=around.start, end=around.end, zone=local).filter(
        pl.col("at") >= of.start, pl.col("at") < of.end
    )

    assert found["amount"].sum() == 1000
    assert abs(found.height - hours) <= (1 if zone == "Australia/Lord_Howe" else 0)
    assert found["amount"].max() - found["amount"].min() <= Decimal("1e-9")  # type: ignore[operator]


def test_a_list_that_begins_within_an_hour_holds_from_the_next() -> None:
    """
    Midnight in Kolkata is 18:30 UTC: the hour from 18:00 on is of the older list, and no hour is
    without a bill.
    """
    known = book(
        {"from": date(2026, 1, 1), "monthlyBill": 720, "perQuery": 1},
        {"from": date(2026, 11, 24), "monthlyBill": 1440, "perQuery": 1},
        zone="Asia/Kolkata",
    )
    start = NOON.replace(hour=17)

    found = bills(known, start=start, end=start + 3 * HOUR, zone=ZoneInfo("Asia/Kolkata"))

    assert found.select("at", "amount").rows() == [
        (start, Decimal(1)),
        (start + HOUR, Decimal(1)),
        (start + 2 * HOUR, Decimal(2)),
    ]
    assert found.schema == BILLS
