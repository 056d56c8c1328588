"""Which reading, held for how long, is which level, and what is done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from policy.emergency.machine import advance
from policy.emergency.readings import Resource
from policy.emergency.state import State
from tests.policy.emergency.looks import CALM, DEFAULTS, EVERY, NOON, lasting, look, terms


@pytest.mark.parametrize(
    ("shares", "seconds", "level", "phase", "actions"),
    [
        ({"cpu": 74.0}, 600, "none", 0, set()),
        ({"cpu": 76.0}, 105, "none", 0, set()),
        ({"cpu": 76.0}, 120, "warning", 1, set()),
        ({"cpu": 91.0}, 105, "none", 0, set()),
        (
            {"cpu": 91.0},
            120,
            "emergency",
            3,
            {"alert", "circuit_breaker", "force_gc", "reduce_limits"},
        ),
        ({"memory": 84.0}, 60, "warning", 1, set()),
        ({"memory": 86.0}, 45, "none", 0, set()),
        (
            {"memory": 86.0},
            60,
            "emergency",
            3,
            {"force_gc", "reduce_limits", "throttle_ingestion"},
        ),
        (
            {"memory": 96.0},
            60,
            "panic",
            4,
            {
                "alert",
                "circuit_breaker",
                "disable_queries",
                "force_gc",
                "reduce_limits",
                "throttle_ingestion",
            },
        ),
        ({"disk": 91.0}, 0, "emergency", 2, {"alert", "circuit_breaker", "force_gc"}),
        ({"network": 79.0}, 0, "warning", 1, set()),
        ({"network": 81.0}, 0, "emergency", 3, {"throttle_ingestion"}),
        ({"samples": 4_999_999.0}, 600, "none", 0, set()),
        ({"samples": 5_000_001.0}, 0, "emergency", 3, {"throttle_ingestion"}),
    ],
)
def test_a_reading_that_held_for_its_time_is_a_level_with_its_actions(
    shares: Mapping[Resource, float], seconds: float, level: str, phase: int, actions: set[str]
) -> None:
    state = lasting(State(), shares, since=NOON, seconds=seconds).state

    assert (state.level, state.phase) == (level, phase)
    assert state.actions.keys() == actions


def test_a_dip_below_the_threshold_begins_the_time_anew() -> None:
    state = lasting(State(), {"cpu": 96.0}, since=NOON, seconds=105).state
    state = advance(state, look(NOON + 8 * EVERY, {"cpu": 60.0}), terms=DEFAULTS).state

    state = lasting(state, {"cpu": 96.0}, since=NOON + 9 * EVERY, seconds=105).state

    assert state.level == "none"


def test_two_processes_in_turn_are_not_one_that_is_full() -> None:
    state = State()
    for number in range(40):
        one = look(NOON + number * EVERY, {"cpu": 96.0}, pod=f"ingester-{number % 2}")
        calm = look(NOON + number * EVERY, {"cpu": 10.0}, pod=f"ingester-{(number + 1) % 2}")
        both = look(NOON + number * EVERY, {}, up={"ingester-0": True, "ingester-1": True})
        together = type(both)(at=both.at, readings=(*one.readings, *calm.readings), up=both.up)
        state = advance(state, together, terms=DEFAULTS).state

    assert state.level == "none"


def test_a_look_without_the_reading_keeps_its_time_and_raises_nothing() -> None:
    state = lasting(State(), {"memory": 96.0}, since=NOON, seconds=45).state

    missing = advance(state, look(NOON + 4 * EVERY, {"cpu": 10.0}), terms=DEFAULTS).state
    back = advance(missing, look(NOON + 5 * EVERY, {"memory": 96.0}), terms=DEFAULTS).state

    assert missing.level == "none"
    assert back.level == "panic"


def test_a_reading_older_than_two_looks_is_unknown() -> None:
    state = lasting(State(), {"memory": 96.0}, since=NOON, seconds=45).state
    later = NOON + timedelta(minutes=5)

    state = advance(state, look(later, {"memory": 96.0}), terms=DEFAULTS).state

    assert state.level == "none"
    assert {one.since for one in state.held} == {later}


def test_the_highest_level_tells_which_reading_did_it() -> None:
    advanced = lasting(State(), {"memory": 96.0, "cpu": 80.0}, since=NOON, seconds=60)

    (raised,) = advanced.events
    assert raised.why == "memory of ingester-0 at 96 %, above 95 % for 1 min"
    assert advanced.state.since == NOON + timedelta(minutes=1)


def test_a_level_is_told_once() -> None:
    state = lasting(State(), {"memory": 96.0}, since=NOON, seconds=60).state

    again = lasting(state, {"memory": 97.0}, since=NOON + 5 * EVERY, seconds=120)

    assert again.events == ()
    assert again.began == ()


def test_a_worse_reading_adds_to_what_is_done() -> None:
    state = lasting(State(), {"network": 85.0}, since=NOON, seconds=0).state

    worse = advance(state, look(NOON + EVERY, {"network": 96.0}), terms=DEFAULTS)

    assert worse.state.level == "panic"
    assert "reduce_limits" in worse.began
    assert "throttle_ingestion" not in worse.began


def test_without_panic_mode_there_is_neither_a_trigger_nor_panic() -> None:
    state = lasting(
        State(),
        {"memory": 99.0, "samples": 9e6},
        since=NOON,
        seconds=120,
        by=terms(panicMode={"enabled": False}),
    ).state

    assert (state.level, state.phase) == ("emergency", 2)


def test_a_trigger_does_only_what_the_settings_allow() -> None:
    state = lasting(
        State(),
        {"network": 85.0},
        since=NOON,
        seconds=0,
        by=terms(panicMode={"actions": ["reduce_limits"]}),
    ).state

    assert (state.level, state.actions) == ("emergency", {})


def test_an_action_that_is_off_is_not_done() -> None:
    state = lasting(
        State(),
        {"disk": 96.0},
        since=NOON,
        seconds=0,
        by=terms(actions=[], panicMode={"actions": [{"force_gc": False}, {"reduce_limits": 30}]}),
    ).state

    assert state.actions == {"reduce_limits": 30.0}


def test_a_warning_ends_well_below_its_threshold_and_not_at_it() -> None:
    warned = lasting(State(), {"network": 76.0}, since=NOON, seconds=0).state

    near = advance(warned, look(NOON + EVERY, {"network": 74.0}), terms=DEFAULTS)
    far = advance(near.state, look(NOON + 2 * EVERY, {"network": 69.0}), terms=DEFAULTS)

    assert near.state.level == "warning"
    assert far.state.level == "none"
    assert [event.kind for event in far.events] == ["calmed"]


def test_a_warning_of_what_is_no_longer_measured_stays() -> None:
    warned = lasting(State(), {"network": 76.0}, since=NOON, seconds=0).state

    blind = advance(warned, look(NOON + EVERY, CALM), terms=DEFAULTS)

    assert blind.state.level == "warning"
    assert [event.kind for event in blind.events] == ["blind"]


def test_garbage_is_collected_where_memory_is_full_and_at_most_every_ten_minutes() -> None:
    first = lasting(State(), {"memory": 96.0}, since=NOON, seconds=60)

    soon = lasting(first.state, {"memory": 96.0}, since=NOON + 5 * EVERY, seconds=0)
    later = lasting(first.state, {"memory": 96.0}, since=NOON + timedelta(minutes=11), seconds=0)

    assert first.collect == ("ingester-0",)
    assert soon.collect == ()
    assert later.collect == ("ingester-0",)
