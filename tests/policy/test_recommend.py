"""From history to a limit: raised at once, lowered slowly, and otherwise withheld with a reason."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from math import inf, nan

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from policy.errors import ConfigError
from policy.evidence import CHANGED, Evidence
from policy.frames import DECISIONS, LAYERS, LIMITS, empty
from policy.recommend import optimized_layer, recommend
from policy.rules import Rules
from tests.policy.estimated import NOON, estimated, estimates

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
RATE, BURST, SERIES = "ingestion_rate", "ingestion_burst_size", "max_global_series_per_user"


def rules_with(**said: object) -> Rules:
    """Rules whose gates on time and on all tenants together are open, unless said."""
    alone = {"buffer_percentage": 25, "agreeing_runs": 1, "max_changes": 1_000}
    return Rules(**(alone | said))  # type: ignore[arg-type]


RULES = rules_with(burst_floor=0)
ONE_LIMIT = rules_with(limits=(RATE,))


def seen(peak: float | None, limit: str = RATE, **told: object) -> dict:
    return estimated(peak, limit=limit, **told)


def limits(*rows: tuple[str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=LIMITS, orient="row")


def decide(
    *rows: dict,
    current: pl.DataFrame,
    rules: Rules = ONE_LIMIT,
    coverage: float = 1.0,
    **known: object,
) -> pl.DataFrame:
    evidence = Evidence(
        estimates=estimates(*rows),
        current=current,
        coverage=coverage,
        **known,  # type: ignore[arg-type]
    )
    return recommend(evidence, rules=rules, now=NOON).decisions


def outcome(*history: dict, now_is: float | None, limit: str = RATE, **how: object) -> tuple:
    current = limits() if now_is is None else limits(("a", limit, now_is))
    rules = how.pop("rules", rules_with(limits=(limit,)))
    row = decide(*history, current=current, rules=rules, **how).row(0, named=True)
    return row["outcome"], row["reason"], row["after"]


def test_a_peak_near_the_limit_raises_it_with_the_buffer_rounded_up() -> None:
    assert outcome(seen(10_310), now_is=10_000) == ("raise", "above_dead_band", 13_000)


def test_a_peak_far_below_the_limit_lowers_it_by_a_tenth_at_most() -> None:
    assert outcome(seen(1_000), now_is=10_000) == ("lower", "below_dead_band", 9_000)


@pytest.mark.parametrize("now_is", [12_700, 14_000])
def test_a_small_difference_changes_nothing(now_is: float) -> None:
    """The target of 13,000 lies within -15 % to +3 % of both."""
    assert outcome(seen(10_310), now_is=now_is) == ("hold", "within_dead_band", now_is)


def test_a_tenants_own_buffer_replaces_the_common_one() -> None:
    rules = rules_with(buffer_by_tenant={"a": 100}, limits=(RATE,))

    assert outcome(seen(10_000), now_is=10_000, rules=rules)[2] == 20_000


def test_refused_samples_are_in_the_demand_already_so_a_rate_is_not_bumped() -> None:
    assert outcome(seen(10_310, pressure=50.0, pressed_days_ago=0), now_is=10_000)[2] == 13_000


def test_refused_series_cannot_be_counted_so_their_peak_counts_for_more() -> None:
    """1.2 x 100,000 and a quarter is 150,000; without refusals it would be 130,000."""
    history = seen(100_000, SERIES, pressure=3.0, pressed_days_ago=1)

    assert outcome(history, now_is=100_000, limit=SERIES)[2] == 150_000
    assert outcome(seen(100_000, SERIES), now_is=100_000, limit=SERIES)[2] == 130_000


@pytest.mark.parametrize(
    ("history", "now_is", "how", "reason"),
    [
        ({}, None, {}, "unknown_current"),
        ({}, 0.0, {}, "blocked"),
        ({"demand": None}, 10_000, {}, "no_data"),
        ({"demand": nan}, 10_000, {}, "no_data"),
        ({"demand": inf}, 10_000, {}, "no_data"),
        ({"demand": -5.0}, 10_000, {}, "no_data"),
        ({"demand": 0.0}, 10_000, {}, "no_data"),
        ({"points": 0}, 10_000, {}, "no_data"),
        ({"last_at": None}, 10_000, {}, "no_data"),
        ({"hours": 0}, 10_000, {}, "short_history"),
        ({"hours": None}, 10_000, {}, "short_history"),
        ({"last_at": NOON - timedelta(minutes=16)}, 10_000, {}, "stale"),
        ({}, 10_000, {"in_blast": ("b", "a")}, "in_blast"),
        ({"pressure": 0.1, "pressed_days_ago": 7}, 100_000, {}, "under_pressure"),
        ({"coverage": 0.98}, 100_000, {}, "partial_coverage"),
        ({"coverage": None}, 100_000, {}, "partial_coverage"),
        ({}, 100_000, {"coverage": 0.5}, "partial_coverage"),
    ],
)
def test_what_is_not_known_well_enough_is_withheld(
    history: dict, now_is: float | None, how: dict, reason: str
) -> None:
    """Whatever the reason, the limit stays what it is."""
    assert outcome(seen(10_310) | history, now_is=now_is, **how) == ("withheld", reason, now_is)


def test_a_tenant_that_was_never_measured_is_withheld() -> None:
    assert outcome(now_is=10_000) == ("withheld", "no_data", 10_000)


def test_unlimited_stays_unlimited() -> None:
    history = seen(100_000, SERIES)

    assert outcome(history, now_is=0.0, limit=SERIES) == ("withheld", "unlimited", 0)


def test_a_blast_stops_raises_only_and_partial_coverage_lowers_only() -> None:
    assert outcome(seen(1_000), now_is=10_000, in_blast=("a",))[0] == "lower"
    assert outcome(seen(10_310, coverage=0.5), now_is=10_000)[0] == "raise"


def test_the_assumed_default_stands_in_where_mimir_did_not_say() -> None:
    rules = rules_with(default_limits={RATE: 10_000}, limits=(RATE,))

    assert outcome(seen(10_310), now_is=None, rules=rules)[2] == 13_000


@pytest.mark.parametrize(
    ("peak", "now_is", "expected"),
    [
        (50_000, 10_000, ("raise", "above_dead_band", 20_000)),
        (1, 6_000, ("lower", "below_dead_band", 5_400)),
        (16_000, 20_500, ("lower", "above_maximum", 20_000)),
        (1, 4_900, ("raise", "below_minimum", 5_000)),
        (50_000, 90_000, ("withheld", "bound_below_peak", 90_000)),
    ],
    ids=["held to max", "a tenth towards min", "above max", "below min", "max below the peak"],
)
def test_the_bounds_hold_and_even_they_do_not_cut_into_the_peak(
    peak: float, now_is: float, expected: tuple
) -> None:
    rules = rules_with(min_limits={RATE: 5_000}, max_limits={RATE: 20_000}, limits=(RATE,))

    assert outcome(seen(peak), now_is=now_is, rules=rules) == expected


def test_the_burst_follows_the_rate_that_will_hold() -> None:
    current = limits(("a", RATE, 10_000), ("a", BURST, 100_000))

    found = decide(seen(10_310), current=current, rules=RULES).filter(limit=BURST)

    assert found.select("outcome", "after").rows() == [("raise", 10 * 13_000)]


def test_the_burst_covers_the_busiest_distributor() -> None:
    current = limits(("a", RATE, 13_000), ("a", BURST, 130_000))

    found = decide(seen(10_310), seen(160_000, BURST), current=current, rules=RULES)

    assert found.filter(limit=BURST)["after"].item() == 200_000


def test_a_burst_is_raised_to_its_rate_even_within_the_dead_band() -> None:
    """With a factor of 1, a rate 4 % over the burst would have samples refused."""
    rules = rules_with(buffer_percentage=0, burst_factor=1, burst_floor=0, limits=(RATE, BURST))
    current = limits(("a", RATE, 52_000), ("a", BURST, 50_000))

    found = decide(seen(49_000), current=current, rules=rules).filter(limit=BURST)

    assert found.select("outcome", "after").rows() == [("raise", 52_000)]


def test_a_small_rate_keeps_mimirs_default_burst() -> None:
    """A smaller burst saves nothing and refuses large requests."""
    current = limits(("a", RATE, 1_000), ("a", BURST, 900_000))
    rules = rules_with(max_lower_step=0.9, limits=(RATE, BURST))

    found = decide(seen(800), current=current, rules=rules).filter(limit=BURST)

    assert found.select("outcome", "after").rows() == [("lower", 200_000)]


def test_the_burst_passes_the_gates_with_its_rate() -> None:
    """The burst's own series of measurements is younger, but it must not stay behind the rate."""
    current = limits(("a", RATE, 10_000), ("a", BURST, 11_000))
    young = seen(3_000, BURST, hours=0, points=1)

    found = decide(seen(10_310), young, current=current, rules=RULES)

    assert found.filter(limit=BURST)["outcome"].item() == "raise"


def test_a_burst_is_not_lowered_while_its_rate_refuses() -> None:
    current = limits(("a", RATE, 13_000), ("a", BURST, 900_000))

    found = decide(
        seen(10_310, pressure=9.0, pressed_days_ago=3), current=current, rules=RULES
    ).filter(limit=BURST)

    assert found["reason"].item() == "under_pressure"


def test_every_number_on_the_way_is_a_step() -> None:
    rules = rules_with(max_limits={RATE: 12_500}, limits=(RATE,))

    found = decide(seen(10_310), current=limits(("a", RATE, 10_000)), rules=rules)

    steps = json.loads(found["steps"].item())
    assert [(step["name"], step["before"], step["after"]) for step in steps] == [
        ("estimate", None, 10_310),
        ("buffer", 10_310, 10_310 * 1.25),
        ("rounding", 10_310 * 1.25, 13_000),
        ("bounds", 13_000, 12_500),
        ("compare", 10_000, 12_500),
    ]
    assert all(step["because"] for step in steps)


def test_a_withheld_decision_has_steps_and_a_sentence_too() -> None:
    found = decide(seen(None), current=limits(("a", RATE, 10_000)))

    (step,) = json.loads(found["steps"].item())
    assert step["name"] == "withheld"
    assert step["because"] == found["detail"].item() == "no demand was measured in the window"


def test_without_anybody_there_is_nothing_to_decide() -> None:
    found = decide(current=limits(), rules=RULES)

    assert found.schema == DECISIONS
    assert found.is_empty()


PEAKS = st.floats(0.01, 1e9)
NOWS = st.floats(1, 1e9)
BOUNDED = rules_with(min_limits={RATE: 500}, max_limits={RATE: 1_000_000}, limits=(RATE,))


def tenants(pairs: list[tuple[float, float]]) -> dict:
    """History and limits of many tenants at once: peak and limit of each."""
    names = [f"t{order:04}" for order in range(len(pairs))]
    history = [seen(peak, tenant=name) for name, (peak, _) in zip(names, pairs, strict=True)]
    current = [(name, RATE, now) for name, (_, now) in zip(names, pairs, strict=True)]
    return {"history": history, "current": limits(*current)}


@settings(max_examples=20, deadline=None)
@given(pairs=st.lists(st.tuples(PEAKS, NOWS), min_size=1, max_size=50))
def test_what_changes_ends_within_the_bounds_and_above_the_peak(pairs: list) -> None:
    """Lowering never goes below 1.05 times the peak; raising goes as far as the bounds let it."""
    many = tenants(pairs)

    found = decide(*many["history"], current=many["current"], rules=BOUNDED)

    peaks = pl.Series("peak", [peak for peak, _ in pairs])
    rows = found.with_columns(peaks).filter(pl.col("outcome").is_in(["raise", "lower"]))
    lowered = rows.filter(outcome="lower")
    assert rows.filter(~pl.col("after").is_between(500, 1_000_000)).is_empty()
    assert lowered.filter(pl.col("after") < pl.col("peak") * 1.05 * (1 - 1e-6)).is_empty()
    assert lowered.filter(pl.col("after") >= pl.col("before")).is_empty()
    assert rows.filter(outcome="raise").filter(pl.col("after") <= pl.col("before")).is_empty()


@settings(max_examples=20, deadline=None)
@given(peaks=st.lists(PEAKS, min_size=2, max_size=50), now_is=NOWS)
def test_more_demand_never_gives_a_lower_limit(peaks: list, now_is: float) -> None:
    many = tenants([(peak, now_is) for peak in sorted(peaks)])

    found = decide(*many["history"], current=many["current"])

    assert found["after"].is_sorted()


@settings(max_examples=10, deadline=None)
@given(pairs=st.lists(st.tuples(PEAKS, NOWS), min_size=1, max_size=20))
def test_a_raise_is_final_and_the_same_demand_changes_nothing_more(pairs: list) -> None:
    """Where one step suffices."""
    many = tenants(pairs)
    far = replace(BOUNDED, max_raise_step=1e12)
    first = decide(*many["history"], current=many["current"], rules=far)
    after = first.select("tenant", "limit", value="after")

    second = decide(*many["history"], current=after, rules=far)

    raised = first.filter(outcome="raise").select("tenant")
    assert set(second.join(raised, on="tenant")["outcome"]) <= {"hold"}


def test_lowering_comes_to_rest() -> None:
    """A tenth at a time from 10,000 towards 1,300, every step smaller, and then no more."""
    value, values = 10_000.0, []
    while len(values) < 100:
        word, _, value = outcome(seen(1_000), now_is=value)
        if word == "hold":
            break
        values.append(value)

    assert values == sorted(set(values), reverse=True)
    assert 0 < len(values) < 100
    assert 1_300 <= values[-1] <= 1_300 / 0.85


def entry(limit: str, value: float) -> dict:
    return {
        "tenant": "a",
        "limit": limit,
        "layer": "optimized",
        "kind": "set",
        "value": value,
        "reason": "an older word",
        "evidence": "[]",
        "written_at": NOON - timedelta(days=1),
        "expires_at": None,
    }


def test_a_change_replaces_its_entry_and_everything_else_stays() -> None:
    previous = pl.DataFrame([entry(RATE, 10_000), entry(SERIES, 70_000)], schema=LAYERS)
    current = previous.select("tenant", "limit", "value")
    decisions = decide(seen(10_310), current=current, rules=RULES)

    layer = optimized_layer(decisions, previous=previous, written_at=NOON)

    assert layer.schema == LAYERS
    assert layer.select("limit", "value", "written_at").rows() == [
        (RATE, 13_000, NOON),
        (SERIES, 70_000, NOON - timedelta(days=1)),
    ]
    assert (
        layer.filter(limit=RATE)["evidence"].item() == decisions.filter(limit=RATE)["steps"].item()
    )


def test_constant_demand_leaves_the_layer_as_it_is() -> None:
    previous = pl.DataFrame([entry(RATE, 13_000)], schema=LAYERS)
    decisions = decide(seen(10_310), current=limits(("a", RATE, 13_000)))

    layer = optimized_layer(decisions, previous=previous, written_at=NOON)

    assert_frame_equal(layer, previous)


def test_the_first_decisions_make_a_layer_from_nothing() -> None:
    decisions = decide(seen(10_310), current=limits(("a", RATE, 10_000)))

    layer = optimized_layer(decisions, previous=empty(LAYERS), written_at=NOON)

    assert layer.select("layer", "kind", "value").rows() == [("optimized", "set", 13_000)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_limits": {RATE: 5}, "max_limits": {RATE: 4}},
        {"min_limits": {RATE: -1}},
        {"max_limits": {RATE: nan}},
        {"max_limits": {BURST: 1.5}},
        {"max_limits": {BURST: 5}},
        {"max_limits": {BURST: 5, RATE: 6}},
        {"buffer_by_tenant": {"a": -1}},
        {"burst_factor": 0.5},
    ],
)
def test_rules_that_cannot_be_kept_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError):
        Rules(**{"buffer_percentage": 20, **wrong})


def test_a_limit_changed_lately_is_not_lowered_again() -> None:
    """72 hours lie between a change and the next lowering."""
    lately = pl.DataFrame([("a", RATE, NOON - 71 * HOUR)], schema=CHANGED, orient="row")
    long_ago = lately.with_columns(changed_at=pl.col("changed_at") - HOUR)

    cooling = outcome(seen(1_000), now_is=10_000, changed=lately)
    cooled = outcome(seen(1_000), now_is=10_000, changed=long_ago)

    assert cooling == ("withheld", "cooling_down", 10_000)
    assert cooled == ("lower", "below_dead_band", 9_000)


def test_a_limit_changed_lately_is_raised_all_the_same() -> None:
    lately = pl.DataFrame([("a", RATE, NOON - HOUR)], schema=CHANGED, orient="row")

    assert outcome(seen(10_310), now_is=10_000, changed=lately)[0] == "raise"


def test_one_missed_look_in_two_days_does_not_stop_a_lowering() -> None:
    assert outcome(seen(1_000, coverage=0.995), now_is=10_000)[0] == "lower"
