"""Periods and windows in time zones, across changes of clocks and ends of months."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.cost.bills import bills
from policy.cost.periods import NAMED, UNITS, Unit, period, window
from policy.cost.prices import price_book
from policy.cost.teams import teams_of
from policy.errors import ConfigError
from policy.settings import parse_settings

BERLIN, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
ZONES = [
    UTC_ZONE,
    BERLIN,
    ZoneInfo("America/New_York"),
    ZoneInfo("Asia/Kolkata"),
    ZoneInfo("Australia/Lord_Howe"),
    ZoneInfo("America/Santiago"),  # its clocks change at midnight
    ZoneInfo("Africa/Cairo"),
]
MOMENTS = st.integers(0, 20 * 365 * 24 * 60).map(
    lambda minutes: datetime(2015, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


@pytest.mark.parametrize(
    ("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 6, 1), 24)]
)
def test_a_day_has_as_many_hours_as_its_clocks_let_it(
    day: tuple[int, int, int], hours: int
) -> None:
    found = period("day", at=datetime(*day, 12, tzinfo=UTC), zone=BERLIN)

    assert found.hours == hours


@given(at=MOMENTS, unit=st.sampled_from(UNITS), zone=st.sampled_from(ZONES))
def test_a_moment_is_in_its_period_and_periods_follow_one_another(
    at: datetime, unit: Unit, zone: ZoneInfo
) -> None:
    found = period(unit, at=at, zone=zone)

    assert found.start <= at < found.end
    assert period(unit, at=found.start, zone=zone) == found
    assert period(unit, at=found.end, zone=zone).start == found.end
    before = period(unit, at=found.start - timedelta(microseconds=1), zone=zone)
    assert before.end == found.start


@given(at=MOMENTS, zone=st.sampled_from(ZONES))
def test_the_days_of_a_month_are_the_month(at: datetime, zone: ZoneInfo) -> None:
    month = period("month", at=at, zone=zone)

    days = [period("day", at=month.start, zone=zone)]
    while days[-1].end < month.end:
        days.append(period("day", at=days[-1].end, zone=zone))

    assert days[-1].end == month.end
    assert sum(day.hours for day in days) == month.hours
    assert 28 <= len(days) <= 31


NOW = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)  # in Berlin it is the first of April


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("today", (4, 1), (4, 2)),
        ("yesterday", (3, 31), (4, 1)),
        ("month", (4, 1), (5, 1)),
        ("lastmonth", (3, 1), (4, 1)),
        ("week", (3, 30), (4, 6)),
        ("lastweek", (3, 23), (3, 30)),
        ("2026-02-01..2026-03-01", (2, 1), (3, 1)),
    ],
)
def test_a_window_is_what_its_name_means_in_the_time_zone(
    text: str, start: tuple[int, int], end: tuple[int, int]
) -> None:
    found = window(text, now=NOW, zone=BERLIN)

    assert found.start == datetime(2026, *start, tzinfo=BERLIN)
    assert found.end == datetime(2026, *end, tzinfo=BERLIN)


def test_a_length_ends_now() -> None:
    found = window("7d", now=NOW, zone=BERLIN)

    assert (found.end, found.end - found.start) == (NOW, timedelta(days=7))


@pytest.mark.parametrize("text", NAMED)
def test_every_name_is_a_window(text: str) -> None:
    assert window(text, now=NOW, zone=UTC_ZONE).hours > 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fortnight", "is no window"),
        ("0d", "is no window"),
        ("2026-02-01..soon", "no day or moment"),
        ("2026-02-02..2026-02-01", "ends before it begins"),
    ],
)
def test_what_is_no_window_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        window(text, now=NOW, zone=UTC_ZONE)


@given(at=MOMENTS, zone=st.sampled_from([UTC_ZONE, BERLIN, ZoneInfo("America/New_York")]))
def test_the_hours_of_a_month_add_up_to_its_bill(at: datetime, zone: ZoneInfo) -> None:
    tree = {"prices": [{"from": "2000-01-01", "monthlyBill": "10000.01"}]}
    book = price_book(parse_settings({"costControl": tree}).cost_control)
    month = period("month", at=at, zone=zone)

    found = bills(book, start=month.start, end=month.end, zone=zone)

    assert found.height == month.hours
    assert abs(found["amount"].sum() - Decimal("10000.01")) < Decimal("0.000001")


def test_a_name_wins_over_a_pattern_and_the_first_team_over_later_ones() -> None:
    patterns = {"blue": ("web-*", "shop"), "red": ("shop*", "web-1"), "grey": ("*-1",)}
    tenants = pl.Series(["web-1", "web-2", "shop", "shop-2", "x-1", "other"])

    found = teams_of(tenants, patterns=patterns)

    assert dict(found.iter_rows()) == {
        "web-1": "red",
        "web-2": "blue",
        "shop": "blue",
        "shop-2": "red",
        "x-1": "grey",
    }
