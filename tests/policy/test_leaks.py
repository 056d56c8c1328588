"""What is a leak, what is growth, and what is neither."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import log

import polars as pl
import pytest

from policy.frames import LIMITS
from policy.leaks import CREEPING, LEAKS, SUM_FIRES, judged
from policy.signals import INGESTION_RATE, SAMPLES_ASKED, SERIES

DAY = timedelta(days=1)
LAST = datetime(2026, 11, 22, tzinfo=UTC)
NOW = LAST + DAY + timedelta(minutes=17)
NONE = LEAKS.to_frame()
LEAKING: dict[str, object] = {
    "tenant": "acme",
    "signal": SERIES,
    "day": LAST,
    "sum": SUM_FIRES + 1,
    "since": LAST - 9 * DAY,
    "before": 40_000.0,
    "level": 50_000.0,
    "peak": 52_000.0,
    "at_once": 0.05,
    "weekly": log(50 / 43),
    "past": 0.0,
    "other": 0.0,
}
LIMITED = pl.DataFrame([("acme", SERIES, 60_000.0)], schema=LIMITS, orient="row")


def days(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame([LEAKING | row for row in rows], schema=CREEPING)


def begins(*rows: dict[str, object], limits: pl.DataFrame = LIMITED) -> pl.DataFrame:
    found, _, _ = judged(NONE, creeping=days(*rows), limits=limits, now=NOW)
    return found


def test_a_leak_says_from_what_to_what_how_fast_and_when_the_limit_is_reached() -> None:
    (leak,) = begins({}).to_dicts()

    per_day = 50_000 * log(50 / 43) / 7
    left = (60_000 - 52_000) / per_day
    assert leak["kind"] == "leak"
    assert (leak["from_value"], leak["to_value"]) == (40_000, 50_000)
    assert leak["per_day"] == pytest.approx(per_day)
    assert leak["reached_at"] - (LAST + DAY) == pytest.approx(left * DAY, abs=timedelta(seconds=1))
    assert leak["because"].startswith("from 40,000 to 50,000 series since 2026-11-13, 1,07")
    assert "samples/s +0 %; its limit of 60,000 is reached on 2026-11-30" in leak["because"]


@pytest.mark.parametrize(
    "limits",
    [
        LIMITS.to_frame(),
        LIMITED.with_columns(value=pl.lit(0.0)),
        LIMITED.with_columns(tenant=pl.lit("another")),
        LIMITED.with_columns(value=pl.lit(1e12)),
    ],
    ids=["unknown", "unlimited", "another's", "centuries away"],
)
def test_where_no_limit_is_in_sight_no_date_is_invented(limits: pl.DataFrame) -> None:
    (leak,) = begins({}, limits=limits).to_dicts()

    assert leak["reached_at"] is None
    assert "reached" not in leak["because"]


def test_a_limit_that_is_reached_already_is_reached_now() -> None:
    (leak,) = begins({"peak": 61_000.0}).to_dicts()

    assert leak["reached_at"] == LAST + DAY


@pytest.mark.parametrize(
    "told",
    [
        {"sum": SUM_FIRES},
        {"level": 43_000.0},
        {"before": 400.0, "level": 500.0},
        {"at_once": 0.6 * log(50 / 40)},
        {"at_once": None},
        {"weekly": 0.0},
        {"weekly": None},
        {"before": None},
    ],
    ids=[
        "not for long",
        "less than a tenth",
        "nobody's trouble",
        "a step",
        "perhaps a step",
        "it rises no more",
        "perhaps it does not",
        "from an unknown level",
    ],
)
def test_what_is_no_leak_or_not_known_to_be_one_is_not_told(told: dict[str, object]) -> None:
    assert begins(told).is_empty()


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"other": 0.5 * log(50 / 40)}, "growth"),
        ({"other": 0.4 * log(50 / 40)}, "leak"),
        ({"other": None}, "leak"),
        ({"past": 0.5 * log(50 / 40) / 10}, "growth"),
        ({"past": 0.4 * log(50 / 40) / 10}, "leak"),
        ({"past": None}, "leak"),
    ],
)
def test_what_the_samples_or_the_weeks_before_explain_is_growth(
    told: dict[str, object], kind: str
) -> None:
    assert begins(told)["kind"].to_list() == [kind]


def test_what_is_not_measured_of_the_samples_is_not_in_the_words() -> None:
    (leak,) = begins({"other": None}).to_dicts()

    assert "samples/s" not in leak["because"]


def test_samples_that_creep_are_told_against_the_limit_on_their_rate() -> None:
    rate = pl.DataFrame([("acme", INGESTION_RATE, 60_000.0)], schema=LIMITS, orient="row")

    (leak,) = begins({"signal": SAMPLES_ASKED}, limits=rate).to_dicts()

    assert leak["allowed"] == 60_000
    assert "samples/s since" in leak["because"]
    assert "series +0 %" in leak["because"]


def test_of_a_tenant_whose_series_and_samples_rise_one_word_is_said() -> None:
    found = begins({"signal": SAMPLES_ASKED}, {})

    assert found["signal"].to_list() == [SERIES]


def test_a_leak_goes_on_with_new_figures_since_it_first_began_and_is_not_told_again() -> None:
    first = begins({})
    later = days({"day": LAST + DAY, "since": LAST - 8 * DAY, "level": 51_000.0, "before": 41_000})

    again, on, over = judged(first, creeping=later, limits=LIMITED, now=NOW + DAY)

    assert again.is_empty()
    assert over.is_empty()
    (leak,) = on.to_dicts()
    assert (leak["from_value"], leak["to_value"]) == (41_000, 51_000)
    assert (leak["began_at"], leak["told_at"]) == (LAST - 9 * DAY, NOW)


@pytest.mark.parametrize(
    "later",
    [days({"weekly": 0.0}), days({"level": 44_000.0}), CREEPING.to_frame()],
    ids=["no higher than a week ago", "half of it is gone", "nothing was measured"],
)
def test_what_rises_no_more_is_over(later: pl.DataFrame) -> None:
    first = begins({})

    again, on, over = judged(first, creeping=later, limits=LIMITED, now=NOW + DAY)

    assert (again.height, on.height) == (0, 0)
    assert over["over_at"].to_list() == [NOW + DAY]
    assert over["because"].to_list() == first["because"].to_list()
