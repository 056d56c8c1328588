"""From days of peaks to one demand per limit: what counts, what is added, and what is told."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from policy.estimate import EstimateRules, SpikeRules, estimate, probability
from policy.estimate.daily import daily
from policy.estimate.quantiles import weighted_quantiles
from policy.frames import DAYS, ESTIMATES, LIMITS, SEASONS, empty

NOW = datetime(2026, 3, 11, 12, tzinfo=UTC)
TODAY = date(2026, 3, 11)
RULES = EstimateRules()
PLAIN = EstimateRules(growth_lead=timedelta(0))
STRATEGIES = ("decayed-peaks", "percentile", "max")
peaks_of_days = st.lists(st.integers(1, 10_000).map(float), min_size=1, max_size=71)


def days_of(
    peaks: list[float | None],
    *,
    levels: list[float | None] | None = None,
    tenant: str = "a",
    **told: object,
) -> pl.DataFrame:
    """Days up to today, oldest first; the level of a day is its peak unless it is given."""
    first = TODAY - timedelta(days=len(peaks) - 1)
    rows = [
        {
            "tenant": tenant,
            "limit": "ingestion_rate",
            "day": first + timedelta(days=place),
            "peak": peak,
            "sustained": level,
            "points": 288,
            "hours": 24,
            "coverage": 1.0,
            "pressure": None,
            "last_at": NOW - timedelta(days=len(peaks) - 1 - place),
        }
        | told
        for place, (peak, level) in enumerate(zip(peaks, levels or peaks, strict=True))
    ]
    return pl.DataFrame(rows, schema=DAYS)


def estimated(days: pl.DataFrame, rules: EstimateRules = PLAIN, **how: object) -> dict:
    return estimate(days, rules=rules, now=NOW, **how).row(0, named=True)


def seasons_of(*cells: tuple[int, float, int]) -> pl.DataFrame:
    rows = [("a", "ingestion_rate", *cell) for cell in cells]
    return pl.DataFrame(rows, schema=SEASONS, orient="row")


def test_no_days_give_no_estimates() -> None:
    assert_frame_equal(estimate(empty(DAYS), rules=RULES, now=NOW), empty(ESTIMATES))


@settings(max_examples=20, deadline=None)
@given(level=st.floats(0.001, 1e12), count=st.integers(1, 71))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_constant_demand_is_estimated_exactly(strategy: str, level: float, count: int) -> None:
    found = estimated(days_of([level] * count), EstimateRules(strategy=strategy))

    assert found["demand"] == pytest.approx(level, rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(peaks=peaks_of_days)
def test_the_decayed_quantile_is_that_of_plain_python(peaks: list[float]) -> None:
    rows = daily(days_of(peaks), rules=RULES, now=NOW)

    found = weighted_quantiles(rows, value="counted", weight="weight", shares={"q": 0.9})

    weighed = sorted(
        (peak, 2 ** (-age / 14)) for age, peak in enumerate(reversed(peaks)) if age <= 70
    )
    whole = sum(weight for _, weight in weighed)
    reached = accumulate(weight for _, weight in weighed)
    enough = 0.9 * whole * (1 - 1e-9)
    expected = next(
        peak for (peak, _), sum_of in zip(weighed, reached, strict=True) if sum_of >= enough
    )
    assert found["q"].item() == expected


@settings(max_examples=20, deadline=None)
@given(peaks=peaks_of_days, place=st.integers(0, 70), more=st.integers(1, 10_000))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_higher_day_never_lowers_what_the_strategy_says(
    strategy: str, peaks: list[float], place: int, more: int
) -> None:
    place %= len(peaks)
    higher = [*peaks[:place], peaks[place] + more, *peaks[place + 1 :]]
    rules = EstimateRules(strategy=strategy)

    before, after = (estimated(days_of(each), rules)["base"] for each in (peaks, higher))

    assert after >= before * (1 - 1e-12)


@settings(max_examples=20, deadline=None)
@given(peaks=peaks_of_days, old=st.integers(1, 10_000))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_older_day_never_lifts_the_estimate_above_the_highest(
    strategy: str, peaks: list[float], old: float
) -> None:
    rules = EstimateRules(strategy=strategy, growth_lead=timedelta(0))

    found = estimated(days_of([float(old), *peaks]), rules)

    assert found["demand"] <= max(old, *peaks) * (1 + 1e-12)


@settings(max_examples=20, deadline=None)
@given(peaks=peaks_of_days, factor=st.sampled_from([0.001, 0.5, 3.0, 1024.0]))
def test_everything_times_a_factor_gives_the_demand_times_the_factor(
    peaks: list[float], factor: float
) -> None:
    levels = [peak / 4 for peak in peaks]
    times = [[each * factor for each in some] for some in (peaks, levels)]

    one = estimated(days_of(peaks, levels=levels), RULES)
    other = estimated(days_of(times[0], levels=times[1]), RULES)

    assert other["base"] == pytest.approx(one["base"] * factor, rel=1e-9)
    assert other["upper"] == pytest.approx(one["upper"] * factor, rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(peaks=peaks_of_days, seed=st.integers(0, 100))
def test_the_order_of_the_rows_changes_nothing(peaks: list[float], seed: int) -> None:
    days = pl.concat([days_of(peaks), days_of(peaks[::-1], tenant="b")])

    mixed = estimate(
        days.sample(fraction=1, shuffle=True, seed=seed).cast(
            {"tenant": pl.Categorical(), "limit": pl.Enum(["ingestion_rate"])}
        ),
        rules=RULES,
        now=NOW,
    )

    assert_frame_equal(mixed, estimate(days, rules=RULES, now=NOW))


@settings(max_examples=20, deadline=None)
@given(level=st.floats(1, 1e9), height=st.floats(1, 1e3), place=st.integers(0, 69))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_event_never_counts_for_more_than_the_threshold(
    strategy: str, level: float, height: float, place: int
) -> None:
    peaks = [level] * 70
    peaks[place] = level * height

    found = estimated(
        days_of(peaks, levels=[level] * 70),
        EstimateRules(strategy=strategy),
        seasons=seasons_of((30, level * height, 9)),
    )

    assert found["demand"] <= level * 2 * (1 + 1e-12)


def test_an_event_that_was_held_down_is_told_with_what_it_counts_for() -> None:
    found = estimated(days_of([100.0] * 29 + [900.0], levels=[100.0] * 30))

    assert (found["event"], found["event_counted"], found["demand"]) == (900, 200, 200)


def test_what_is_reached_every_monday_is_a_habit_from_the_third_on() -> None:
    """
    A habit counts in full on its third day of fifteen, on its second up to five times the level.
    """
    peaks = [900.0 if place % 7 == 0 else 100.0 for place in range(15)]

    twice = estimated(days_of(peaks[:14], levels=[100.0] * 14))
    thrice = estimated(days_of(peaks, levels=[100.0] * 15))

    once = estimated(days_of(peaks[:7], levels=[100.0] * 7))

    assert (once["demand"], twice["demand"], thrice["demand"]) == (200, 500, 900)


def test_a_level_that_lasts_counts_at_once() -> None:
    found = estimated(days_of([100.0] * 20 + [900.0], levels=[100.0] * 20 + [850.0]))

    assert (found["demand"], found["event"]) == (900, None)


def test_a_day_whose_level_is_not_known_yet_is_held_to_the_level_of_the_day_before() -> None:
    found = estimated(days_of([100.0] * 20 + [900.0], levels=[100.0] * 20 + [None]))

    assert found["demand"] == 200


def test_without_spike_detection_every_peak_counts() -> None:
    rules = EstimateRules(spike=SpikeRules(enabled=False))

    found = estimated(days_of([100.0] * 20 + [900.0], levels=[100.0] * 21), rules)

    assert found["demand"] == 900


def test_days_of_nothing_but_blasts_have_no_demand() -> None:
    found = estimated(days_of([None, None]))

    assert (found["demand"], found["base"], found["days"]) == (None, None, 0)


def test_days_outside_of_the_window_do_not_count() -> None:
    rules = EstimateRules(strategy="max", window=timedelta(days=2))

    found = estimated(days_of([900.0, 100.0, 110.0, 120.0]), rules)

    assert found["demand"] == 120


def test_without_peaks_the_recent_one_is_forgotten_after_yesterday() -> None:
    peaks = [100.0] * 60 + [150.0] + [100.0] * 4
    rules = EstimateRules(include_peaks=False, half_life=timedelta(days=300))

    assert estimated(days_of(peaks))["demand"] == 150
    assert estimated(days_of(peaks), rules)["demand"] == 100
    assert json.loads(estimated(days_of(peaks), rules)["parts"])["recent"] == 100


def test_the_percentile_may_average_days_and_leave_peaks_out() -> None:
    """
    Of ten days, nine of 90 and one of 180, the means of three days reach 120.
    """
    days = days_of([90.0] * 7 + [180.0] + [90.0] * 2)

    def found(*, averaged: bool, peaks: bool) -> float:
        rules = EstimateRules(
            strategy="percentile", percentile=90, moving_average=averaged, include_peaks=peaks
        )
        return estimated(days, rules)["demand"]

    assert found(averaged=True, peaks=True) == 180
    assert found(averaged=True, peaks=False) == pytest.approx(120)
    assert found(averaged=False, peaks=False) == 90


def test_steady_growth_is_met_a_week_ahead() -> None:
    rules = EstimateRules(evaluation_lag=timedelta(0))

    found = estimated(days_of([1_000.0 + 10 * day for day in range(50)]), rules)

    assert found["slope"] == pytest.approx(10)
    assert found["demand"] == pytest.approx(1_490 + 70)


def test_weekdays_are_not_taken_for_growth() -> None:
    week = [100.0, 110.0, 120.0, 130.0, 140.0, 20.0, 10.0]

    found = estimated(days_of(week * 3 + week[:5]), RULES)

    assert (found["slope"], found["lead"], found["demand"]) == (None, None, 140)


def test_growth_that_explodes_adds_half_at_most() -> None:
    peaks = [1_000.0 * day for day in range(1, 31)]

    found = estimated(days_of(peaks), EstimateRules(growth_lead=timedelta(days=60)))

    assert found["demand"] == pytest.approx(45_000)


def test_two_weeks_are_too_short_for_growth() -> None:
    grown = [1_000.0 + 10 * day for day in range(15)]

    assert estimated(days_of(grown[:14]), RULES)["lead"] is None
    assert estimated(days_of(grown), RULES)["lead"] is not None


def month_start(day: date) -> float:
    return 180.0 if day.day == 1 else 100.0


def test_who_peaks_on_the_first_of_the_month_keeps_that_peak() -> None:
    dates = [TODAY - timedelta(days=age) for age in range(70, -1, -1)]
    rules = EstimateRules(growth_lead=timedelta(0), half_life=timedelta(days=1))

    found = estimated(days_of([month_start(day) for day in dates]), rules)
    once = estimated(days_of([month_start(day) for day in dates[20:]]), rules)

    assert (found["calendar"], found["demand"]) == (180, 180)
    assert (once["calendar"], once["demand"]) == (None, 100)


def test_the_highest_hour_of_the_week_holds_the_demand_up() -> None:
    peaks = [200.0] * 3 + [100.0] * 60
    rules = EstimateRules(growth_lead=timedelta(0), half_life=timedelta(days=2))

    found = estimated(days_of(peaks), rules, seasons=seasons_of((9, 150.0, 4), (33, 180.0, 1)))

    assert (found["season"], found["season_hour"], found["demand"]) == (150, 9, 150)


def test_the_hours_of_the_day_weigh_as_they_are_told_to() -> None:
    """
    The busiest hour by day has 100 and counts 1.5 times; that of the night has 120.
    """
    rules = EstimateRules(growth_lead=timedelta(0), hour_factors={9: 1.5})
    seasons = seasons_of((9, 100.0, 4), (24 + 2, 120.0, 4))

    found = estimated(days_of([120.0] * 20), rules, seasons=seasons)

    assert found["time_factor"] == pytest.approx(150 / 120)
    assert found["demand"] == pytest.approx(150)
    assert estimated(days_of([120.0] * 20), rules)["time_factor"] is None


def test_full_history_is_fully_believed_and_a_day_is_not() -> None:
    full = estimated(days_of([100.0] * 14))
    one_day = estimated(days_of([100.0]))

    assert (full["confidence"], full["widening"]) == (1, 1)
    assert one_day["confidence"] == pytest.approx(1 / 14)
    assert one_day["widening"] == pytest.approx(1 + (13 / 14) ** 2)


def test_the_bounds_narrow_with_history() -> None:
    one_day, week = estimated(days_of([100.0])), estimated(days_of([100.0] * 7))

    assert one_day["upper"] == pytest.approx(200)
    assert week["upper"] == pytest.approx(100 * (1 + 1 / 7))
    assert one_day["lower"] == pytest.approx(100 / 1.001**2)


def test_pressure_is_remembered_for_a_week_and_its_age_for_the_window() -> None:
    pressed = days_of([100.0] * 30).with_columns(
        pressure=pl.when(pl.col("day") == TODAY - timedelta(days=9)).then(5.0).otherwise(0.0)
    )

    found = estimated(pressed)

    assert (found["pressure"], found["pressed_days_ago"]) == (0, 9)
    assert estimated(days_of([100.0]))["pressure"] is None


def risk(peaks: list[float], *, limit: float, rules: EstimateRules = PLAIN) -> dict:
    days = days_of(peaks)
    limits = pl.DataFrame([("a", "ingestion_rate", limit)], schema=LIMITS, orient="row")
    found = probability(
        daily(days, rules=rules, now=NOW),
        estimates=estimate(days, rules=rules, now=NOW),
        limits=limits,
    )
    return found.row(0, named=True)


def test_a_limit_far_above_every_peak_is_unlikely_to_be_hit_and_not_impossible() -> None:
    safe, hit = risk([100.0] * 60, limit=1_000), risk([100.0] * 60, limit=99)

    assert 0 < safe["hit_probability"] < 0.05
    assert 0.95 < hit["hit_probability"] < 1
    assert safe["utilisation"] == pytest.approx(0.1)


def test_growth_makes_a_hit_likelier() -> None:
    grown = [1_000.0 + 10 * day for day in range(50)]

    plain, ahead = (risk(grown, limit=1_495, rules=rules) for rules in (PLAIN, RULES))

    assert ahead["hit_probability"] > plain["hit_probability"]


def test_two_days_tell_no_risk_and_three_do() -> None:
    assert risk([100.0] * 2, limit=200)["hit_probability"] is None
    assert risk([100.0] * 3, limit=200)["hit_probability"] == pytest.approx(0.5 / 4, rel=0.01)


def test_a_limit_of_zero_is_not_at_risk() -> None:
    days = days_of([100.0] * 9)
    limits = pl.DataFrame([("a", "ingestion_rate", 0.0)], schema=LIMITS, orient="row")
    estimates = estimate(days, rules=RULES, now=NOW)

    rows = daily(days, rules=RULES, now=NOW)
    found = probability(rows, estimates=estimates, limits=limits)

    assert found.is_empty()
