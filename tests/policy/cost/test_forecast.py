"""Forecasts of what a period will come to, against spending whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from statistics import fmean
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.cost.forecast import FORECASTS, forecasts, past
from policy.cost.outlook import outlook
from policy.cost.paths import Paths, paths
from policy.cost.periods import Period, pieces
from policy.cost.standing import DAYS, SPENDING, STATUS

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
# The first day of a month of thirty, just begun.
TODAY = datetime(2026, 11, 1, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")
WEEK = (1.0, 1.1, 1.2, 1.1, 1.0, 0.5, 0.4)


def spending_of(seed: int, days: int) -> list[float]:
    """A level that grows or shrinks, weeks, and a noise of 6 %."""
    random = Random(seed)
    level = random.uniform(50, 200)
    growth = level * random.uniform(-0.001, 0.004)
    week = [1 + random.uniform(-0.25, 0.25) for _ in range(7)]
    return [
        (level + growth * day) * week[day % 7] * (1 + random.gauss(0, 0.06)) for day in range(days)
    ]


def days_until(now: datetime, count: int, *, hours: Sequence[int] | int = 24) -> pl.DataFrame:
    """So many days before, and today, of which nothing is priced yet."""
    start = now - count * DAY
    priced = [hours] * count if isinstance(hours, int) else list(hours)
    each = pieces(Period(start=start, end=now + DAY), unit="day", zone=UTC_ZONE)
    return pl.DataFrame(
        [
            (number, piece.start, piece.end, of_day, None)
            for number, (piece, of_day) in enumerate(zip(each, [*priced, 0], strict=True))
        ],
        schema=DAYS,
        orient="row",
    )


def spent_by(name: str, amounts: Sequence[float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            ("tenant", name, number, None if amount is None else Decimal(repr(round(amount, 6))))
            for number, amount in enumerate(amounts)
        ],
        schema=SPENDING,
        orient="row",
    )


def budget(name: str, amount: float, *, spent: float | None = 0.0, **told: Any) -> pl.DataFrame:  # noqa: ANN401
    row = {
        "scope": "tenant",
        "name": name,
        "unit": "month",
        "budget": Decimal(repr(amount)),
        "starts": TODAY,
        "ends": TODAY + 30 * DAY,
        "spent": None if spent is None else Decimal(repr(spent)),
        **told,
    }
    return pl.DataFrame([row], schema=STATUS)


def forecast(status: pl.DataFrame, amounts: Sequence[float], **told: Any) -> dict[str, Any]:  # noqa: ANN401
    found = forecasts(
        status,
        spent=spent_by("acme", amounts),
        days=days_until(TODAY, len(amounts)),
        now=told.pop("now", TODAY),
        zone=UTC_ZONE,
        **told,
    )
    assert found.schema == FORECASTS
    return found.row(0, named=True)


@pytest.fixture(scope="module")
def cases() -> list[tuple[float, float, float, float, float]]:
    """Of 100 seeds: the truth of 28 days after 84, p10, p50, p90, and four times the last week."""
    told = []
    for seed in range(100):
        amounts = spending_of(seed, 112)
        known, to_come = amounts[:84], amounts[84:]
        ahead = outlook(known, days=28)
        assert ahead is not None
        sums = paths(ahead, rest=1.0, random=Random(seed)).sums(28)
        quantiles = (sums[50], sums[250], sums[450])
        told.append((sum(to_come), *quantiles, 4 * sum(known[-7:])))
    return told


def test_four_of_five_truths_are_between_p10_and_p90(
    cases: list[tuple[float, float, float, float, float]],
) -> None:
    within = sum(low <= truth <= high for truth, low, _, high, _ in cases)

    assert 80 <= within <= 95


def test_it_is_nearer_to_the_truth_than_four_times_the_last_week(
    cases: list[tuple[float, float, float, float, float]],
) -> None:
    ours = fmean(abs(half - truth) / truth for truth, _, half, _, _ in cases)
    naive = fmean(abs(week - truth) / truth for truth, _, _, _, week in cases)

    assert ours < naive
    assert ours < 0.03


@pytest.mark.parametrize(("known", "ahead"), [(7, 7), (14, 28), (28, 28), (35, 28)])
def test_a_line_through_a_few_days_knows_how_little_it_knows(known: int, ahead: int) -> None:
    within = 0
    for seed in range(100):
        amounts = spending_of(seed, known + ahead)
        line = outlook(amounts[:known], days=ahead)
        assert line is not None
        sums = paths(line, rest=1.0, random=Random(seed)).sums(ahead)
        within += sums[50] <= sum(amounts[known:]) <= sums[450]

    assert within >= 70


def test_from_four_weeks_on_a_line_knows_the_days_of_the_week() -> None:
    """Two more every week on each day; the days of a week to come are those of the last and two."""
    amounts = [100 * WEEK[day % 7] + 2 * (day // 7) for day in range(28)]

    line = outlook(amounts, days=7)

    assert line is not None
    assert line.means == pytest.approx([each + 2 for each in amounts[-7:]])
    assert line.errors == pytest.approx([0.0] * 28)


def test_one_dear_day_moves_no_line() -> None:
    amounts = [100 * WEEK[day % 7] for day in range(35)]
    spoilt = [*amounts[:20], 10_000.0, *amounts[21:]]

    line, off = outlook(amounts, days=7), outlook(spoilt, days=7)

    assert line is not None
    assert off is not None
    assert off.means == pytest.approx(line.means)


def test_how_far_a_line_is_off_grows_with_the_days() -> None:
    ways = Paths(
        means=(10.0,) * 3, weights=(1.0,) * 3, draws=((0.0,) * 3,), rest=0.5, lines=((1.0, 2.0),)
    )

    # 11, 13 and 15 in whole days, and of the first one half.
    assert [ways.sums(days) for days in (1, 2, 3)] == [[5.5], [18.5], [33.5]]


def test_the_same_days_give_the_same_figures_and_another_scope_other_draws() -> None:
    amounts = spending_of(3, 60)
    once = forecast(budget("acme", 3_000.0), amounts)

    assert forecast(budget("acme", 3_000.0), amounts) == once
    other = forecast(budget("acme", 3_000.0), amounts, seeded=lambda name: Random(f"other {name}"))
    assert other["p10"] != once["p10"]


@pytest.mark.parametrize("days", [0, 1, 2])
def test_below_three_days_there_is_no_figure(days: int) -> None:
    told = forecast(budget("acme", 10.0), [5.0] * days)

    assert {told[name] for name in FORECASTS.names()[3:]} == {None}


@pytest.mark.parametrize(
    ("days", "method"), [(3, "theil-sen"), (41, "theil-sen"), (42, "holt-winters")]
)
def test_how_much_past_there_is_decides_the_method(days: int, method: str) -> None:
    assert forecast(budget("acme", 10.0), [5.0] * days)["method"] == method


def test_what_is_spent_every_day_alike_is_spent_on() -> None:
    told = forecast(budget("acme", 100.0, spent=0.0), [5.0] * 40)

    assert [told[name] for name in ("p10", "p50", "p90")] == pytest.approx([150.0] * 3)
    assert told["over_probability"] == 1.0
    # 20 days come to 100, which is the budget; the one after exceeds it.
    assert told["crosses_on"] == date(2026, 11, 21)


def test_a_budget_that_will_do_is_crossed_on_no_day() -> None:
    told = forecast(budget("acme", 151.0), [5.0] * 40)

    assert (told["over_probability"], told["crosses_on"], told["crosses_early_on"]) == (
        0.0,
        None,
        None,
    )


def test_a_budget_that_is_used_up_is_over_for_certain_and_crossed_no_more() -> None:
    told = forecast(budget("acme", 10.0, spent=11.0), [5.0] * 40)

    assert (told["over_probability"], told["crosses_on"]) == (1.0, None)


def test_the_week_is_known() -> None:
    """
    The 1st of November is a Sunday; the past begins on a Tuesday eight weeks and more before.
    """
    amounts = [10 * WEEK[(TODAY - (61 - n) * DAY).weekday()] for n in range(61)]
    status = budget("acme", 100.0, ends=TODAY + DAY, unit="day")

    assert forecast(status, amounts)["p50"] == pytest.approx(10 * WEEK[6], rel=0.01)


def test_of_today_only_what_is_not_priced_yet_is_to_come() -> None:
    status = budget("acme", 100.0, spent=2.0, ends=TODAY + DAY, unit="day")
    days = days_until(TODAY, 40).with_columns(
        hours=pl.when(pl.col("starts") == TODAY).then(18).otherwise("hours")
    )

    told = forecasts(
        status,
        spent=spent_by("acme", [8.0] * 40),
        days=days,
        now=TODAY + 18 * HOUR,
        zone=UTC_ZONE,
    )

    assert told["p50"].to_list() == pytest.approx([2.0 + 8.0 / 4])


def test_of_today_only_what_is_to_come_may_still_be_off() -> None:
    """A quarter of 10 is to come, which may be off by a quarter of 2; tomorrow as a whole."""
    ways = Paths(means=(10.0, 20.0), weights=(1.0, 1.5), draws=((2.0, 0.0), (-2.0, 4.0)), rest=0.25)

    assert ways.sums(1) == [2.0, 3.0]
    # The error of today is handed on to tomorrow by half of it.
    assert ways.sums(2) == [22.5 + 2 * (0.25 + 0.5), 22.5 - 2 * (0.25 + 0.5) + 4.0]


def test_an_error_is_handed_on_to_every_day_and_most_to_the_same_day_of_the_week() -> None:
    ahead = outlook(spending_of(1, 60), days=15)

    assert ahead is not None
    responses = ahead.responses
    assert len(responses) == 14
    assert min(responses) > 0
    assert responses[6] > max(responses[5], responses[7])


def test_a_day_that_was_priced_in_part_counts_as_if_the_rest_were_alike() -> None:
    days = days_until(TODAY, 4, hours=[24, 18, 24, 24]).filter(pl.col("starts") < TODAY)

    found = past(spent_by("acme", [4.0, 3.0, 4.0, 4.0]), days=days)

    assert found == {("tenant", "acme"): [4.0] * 4}


def test_a_day_that_was_hardly_priced_ends_the_past() -> None:
    days = days_until(TODAY, 4, hours=[24, 17, 24, 24]).filter(pl.col("starts") < TODAY)

    found = past(spent_by("acme", [4.0, 3.0, 5.0, 6.0]), days=days)

    assert found == {("tenant", "acme"): [5.0, 6.0]}


def test_the_past_begins_with_a_scopes_first_day_and_after_what_has_no_price() -> None:
    days = days_until(TODAY, 5).filter(pl.col("starts") < TODAY)
    late = spent_by("late", [9.0, 9.0]).with_columns(number=pl.col("number") + 2)
    unknown = spent_by("unknown", [1.0, None, 2.0, 3.0])

    found = past(pl.concat([late, unknown]), days=days)

    assert found == {
        ("tenant", "late"): [9.0, 9.0, 0.0],
        ("tenant", "unknown"): [2.0, 3.0, 0.0],
    }


def test_what_is_spent_is_not_known_then_neither_is_what_it_comes_to() -> None:
    assert forecast(budget("acme", 10.0, spent=None), [5.0] * 40)["p50"] is None


@given(
    amounts=st.lists(st.floats(0, 1e6), min_size=3, max_size=60),
    spent=st.floats(0, 1e6).map(lambda amount: round(amount, 6)),
)
def test_quantiles_rise_and_nothing_that_is_spent_comes_back(
    amounts: list[float], spent: float
) -> None:
    told = forecast(budget("acme", 1_000.0, spent=spent), amounts)

    assert spent <= told["p10"] <= told["p50"] <= told["p90"]
    assert 0 <= told["over_probability"] <= 1
