"""What of costs is told: once, and over only when it is well below."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.cost.alerts import ALERTS, BELOW, crossings, foreseen, told, turned
from policy.cost.burning import burn_windows, burns, unusual, usual_hours
from policy.cost.forecast import FORECASTS
from policy.cost.standing import CHARGED, DAYS, SPENDING, STATUS

NOW = datetime(2026, 11, 20, 9, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
MONTH = datetime(2026, 11, 1, tzinfo=UTC)
THRESHOLDS = (50.0, 75.0, 90.0, 95.0)


def standing(used: float | None, **told_: Any) -> pl.DataFrame:  # noqa: ANN401 - of STATUS
    row = {
        "scope": "tenant",
        "name": "acme",
        "unit": "month",
        "budget": Decimal(720),
        "enforced": False,
        "currency": "USD",
        "starts": MONTH,
        "ends": datetime(2026, 12, 1, tzinfo=UTC),
        "spent": None if used is None else Decimal(repr(round(720 * used, 6))),
        "used": used,
        "passed": 0.5,
        "hours": 400,
    }
    return pl.DataFrame([row | told_], schema=STATUS)


def over_time(used: Sequence[float | None]) -> list[list[tuple[float, str]]]:
    """What begins (+) and ends (-) at each of these uses, by threshold."""
    known = pl.DataFrame(schema=ALERTS)
    history = []
    for index, each in enumerate(used):
        conditions = crossings(standing(each), thresholds=THRESHOLDS)
        turn = turned(conditions, known=known, now=NOW + index * HOUR)
        keys = ["kind", "scope", "name", "unit", "starts", "threshold"]
        known = pl.concat([known.join(turn.over, on=keys, how="anti"), turn.began])
        history.append(
            [
                *((threshold, "+") for threshold in turn.began["threshold"]),
                *((threshold, "-") for threshold in turn.over["threshold"]),
            ]
        )
    return history


def test_each_threshold_is_told_once_and_all_of_it_always_is_one() -> None:
    assert over_time([0.4, 0.5, 0.6, 0.95, 1.0, 1.3]) == [
        [],
        [(50.0, "+")],
        [],
        [(75.0, "+"), (90.0, "+"), (95.0, "+")],
        [(100.0, "+")],
        [],
    ]


def test_what_lingers_about_a_threshold_is_told_once() -> None:
    assert over_time([0.501, 0.499, 0.501, 0.485, 0.5]) == [[(50.0, "+")], [], [], [], []]


def test_what_fell_well_below_is_over_and_is_told_again() -> None:
    assert over_time([0.5, 0.47, 0.5]) == [[(50.0, "+")], [(50.0, "-")], [(50.0, "+")]]


def test_what_is_not_known_begins_and_ends_nothing() -> None:
    assert over_time([0.6, None, 0.6]) == [[(50.0, "+")], [], []]


def test_the_turn_of_the_period_ends_what_was_told_and_it_begins_anew() -> None:
    before = turned(
        crossings(standing(0.6), thresholds=THRESHOLDS),
        known=pl.DataFrame(schema=ALERTS),
        now=NOW,
    ).began
    december = {
        "starts": datetime(2026, 12, 1, tzinfo=UTC),
        "ends": datetime(2027, 1, 1, tzinfo=UTC),
    }

    turn = turned(
        crossings(standing(0.55, **december), thresholds=THRESHOLDS), known=before, now=NOW
    )

    assert turn.over.select("starts", "over_at").rows() == [(MONTH, NOW)]
    assert turn.began.select("starts", "threshold").rows() == [(december["starts"], 50.0)]


def test_of_thresholds_that_are_crossed_together_the_highest_is_told() -> None:
    began = turned(
        crossings(standing(0.92), thresholds=THRESHOLDS),
        known=pl.DataFrame(schema=ALERTS),
        now=NOW,
    ).began

    (alert,) = told(began).iter_rows(named=True)

    assert began["threshold"].to_list() == [50.0, 75.0, 90.0]
    assert (alert["threshold"], alert["severity"]) == (90.0, "warning")
    assert alert["because"] == (
        "acme used 92 % of the monthly budget: 662 of 720 USD, with 50 % of the time over"
    )
    assert json.loads(alert["evidence"])["used"] == pytest.approx(0.92)


@given(st.lists(st.one_of(st.none(), st.floats(0, 2)), max_size=30))
def test_nothing_begins_twice_without_an_end_between(used: list[float | None]) -> None:
    is_open: set[float] = set()
    for turns, share in zip(over_time(used), used, strict=True):
        for threshold, how in turns:
            assert (threshold in is_open) == (how == "-")
            is_open ^= {threshold}
            assert share is not None
            if how == "-":
                assert share * 100 < threshold - BELOW
            else:
                assert share * 100 >= threshold


def hourly(amounts: Sequence[float | None]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """SPENDING and DAYS of burn windows by amounts of hours, the newest last; None: not priced."""
    pieces = burn_windows(NOW)
    end = pieces[-1].end
    moments = [end - (len(amounts) - n) * HOUR for n in range(len(amounts))]
    spent, days = [], []
    for number, piece in enumerate(pieces):
        within = [
            amount
            for at, amount in zip(moments, amounts, strict=True)
            if piece.start <= at < piece.end and amount is not None
        ]
        days.append((number, piece.start, piece.end, len(within), None))
        if within:
            spent.append(("tenant", "acme", number, Decimal(repr(round(sum(within), 6)))))
    return (
        pl.DataFrame(spent, schema=SPENDING, orient="row"),
        pl.DataFrame(days, schema=DAYS, orient="row"),
    )


def burning(amounts: Sequence[float | None], **told_: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401
    """(severity, rate) of what holds. The budget of 720 a month allows 1 an hour."""
    spent, windows = hourly(amounts)
    found = burns(standing(0.5, **told_), spent=spent, windows=windows)
    return found.filter("holds").select("severity", "reached").rows()


@pytest.mark.parametrize(
    ("amounts", "holds"),
    [
        ([0.9] * 72, []),
        ([1.0] * 72, [("warning", 1.0)]),
        ([0.5] * 66 + [6.0] * 6, [("critical", 6.0)]),
        ([1.0] * 66 + [6.0] * 6, [("critical", 6.0), ("warning", 102 / 72)]),
        ([0.4] * 66 + [8.0] * 5 + [1.0], []),
        ([1.5] * 66 + [0.5] * 6, []),
        ([0.1] * 71 + [30.0], []),
    ],
    ids=[
        "slower than the budget",
        "as fast as the budget for three days",
        "six times as fast for six hours",
        "both",
        "over in the last hour",
        "over in the last six hours",
        "an hour alone",
    ],
)
def test_what_burns_is_told_by_a_long_window_and_a_short_one(
    amounts: list[float], holds: list[tuple[str, float]]
) -> None:
    assert burning(amounts) == [(severity, pytest.approx(rate)) for severity, rate in holds]


@pytest.mark.parametrize(("rate", "lasts"), [(5.5, True), (5.3, False), (0.5, False)])
def test_what_burned_is_over_well_below_the_rate_at_which_it_is_told(
    *, rate: float, lasts: bool
) -> None:
    spent, windows = hourly([0.5] * 66 + [rate] * 6)

    found = burns(standing(0.5), spent=spent, windows=windows)

    assert found.filter(severity="critical")["lasts"].to_list() == [lasts]


def test_three_days_say_nothing_of_a_budget_of_one() -> None:
    assert burning([2.0] * 72, unit="day", ends=MONTH + 24 * HOUR, budget=Decimal(24)) == []


def test_where_too_few_hours_are_priced_nobody_knows_how_fast_it_burns() -> None:
    missing = [9.0] * 66 + [None] * 4 + [9.0] * 2

    spent, windows = hourly(missing)
    found = burns(standing(0.5), spent=spent, windows=windows)

    assert found.select("reached", "holds", "lasts").rows() == [(None, None, None)] * 2


def test_hours_that_are_not_priced_count_neither_as_spent_nor_as_time() -> None:
    assert burning([1.0] * 30 + [None] * 20 + [1.0] * 22) == [("warning", pytest.approx(1.0))]


def hours_of(**costs: Sequence[float | None]) -> pl.DataFrame:
    """CONDITIONS by the twelve usual hours and the newest one, of each tenant."""
    pieces = usual_hours(NOW)
    charged = [
        (number, tenant, "blue", Decimal(repr(amount)))
        for tenant, amounts in costs.items()
        for number, amount in enumerate(amounts)
        if amount is not None
    ]
    days = [(number, each.start, each.end, 1, None) for number, each in enumerate(pieces)]
    return unusual(
        pl.DataFrame(charged, schema=CHARGED, orient="row"),
        hours=pl.DataFrame(days, schema=DAYS, orient="row"),
        currency="USD",
    )


USUAL = (1.0, 1.1, 0.9, 1.05, 1.0, 0.95, 1.1, 1.0, 1.0, 0.9, 1.0, 1.05)


def test_the_usual_hours_are_those_of_four_weeks_and_do_not_overlap() -> None:
    pieces = usual_hours(NOW)

    assert pieces[-1].start == datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert len(pieces) == 13
    assert all(one.end <= other.start for one, other in pairwise(pieces))
    assert {each.start.weekday() for each in pieces} == {4}


@pytest.mark.parametrize(("newest", "told_of"), [(1.1, []), (1.3, []), (3.0, ["acme"])])
def test_a_tenant_that_costs_far_more_than_at_this_hour_of_past_weeks_is_told(
    newest: float, told_of: list[str]
) -> None:
    found = hours_of(acme=[*USUAL, newest], other=[*USUAL, 1.0])

    assert found.filter("holds")["name"].to_list() == told_of


def test_what_is_unusual_and_next_to_nothing_of_the_whole_is_nobodys_trouble() -> None:
    found = hours_of(acme=[*USUAL, 3.0], huge=[200.0] * 13)

    assert found.filter(name="acme")["holds"].to_list() == [False]


def test_a_tenant_without_past_weeks_has_nothing_usual() -> None:
    assert hours_of(young=[*([None] * 7), 1.0, 1.0, 1.0, 1.0, 1.0, 90.0]).is_empty()


def test_an_unusual_hour_is_over_when_it_is_near_the_usual_and_told_once_until_then() -> None:
    known = pl.DataFrame(schema=ALERTS)
    history = []
    for newest in (3.0, 4.0, 1.4, 1.1, None):
        turn = turned(hours_of(acme=[*USUAL, newest]), known=known, now=NOW)
        known = turn.began if known.is_empty() else known.filter(turn.over.is_empty())
        history.append((turn.began.height, turn.over.height))

    assert history == [(1, 0), (0, 0), (0, 0), (0, 1), (0, 0)]


def forecast(probability: float | None) -> pl.DataFrame:
    row = {
        "scope": "tenant",
        "name": "acme",
        "unit": "month",
        "p50": 900.0,
        "over_probability": probability,
        "crosses_on": datetime(2026, 11, 27, tzinfo=UTC).date(),
    }
    return pl.DataFrame([row], schema=FORECASTS)


@pytest.mark.parametrize(
    ("used", "probability", "says"),
    [
        (0.7, 0.8, (True, True)),
        (0.7, 0.79, (False, True)),
        (0.7, 0.59, (False, False)),
        (1.0, 0.99, (False, False)),
        (0.7, None, (None, None)),
        (None, 0.9, (True, True)),
    ],
)
def test_a_budget_that_will_probably_not_last_is_foreseen_until_it_is_used_up(
    used: float | None, probability: float | None, says: tuple[bool | None, bool | None]
) -> None:
    found = foreseen(standing(used), forecast(probability))

    assert found.select("holds", "lasts").rows() == [says]


def test_a_budget_that_is_foreseen_says_how_likely_how_much_and_when() -> None:
    (because,) = foreseen(standing(0.7), forecast(0.84))["because"]

    assert because == (
        "acme will exceed the monthly budget with a probability of 84 %: 900 of 720 USD by its "
        "end, used up on 2026-11-27"
    )


def test_of_a_budget_one_end_is_told_and_only_when_nothing_of_it_lasts() -> None:
    def turn(used: float, known: pl.DataFrame) -> list[Any]:
        found = turned(crossings(standing(used), thresholds=THRESHOLDS), known=known, now=NOW)
        return [found.over["threshold"].to_list(), found.ended["threshold"].to_list()]

    first = crossings(standing(0.92), thresholds=THRESHOLDS)
    known = turned(first, known=ALERTS.to_frame(), now=NOW).began

    assert turn(0.6, known) == [[75.0, 90.0], []]
    assert turn(0.1, known) == [[50.0, 75.0, 90.0], [90.0]]
