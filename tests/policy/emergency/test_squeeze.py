"""When caps go below what is usually needed: only while it presses although they are in force."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.emergency.machine import advance
from policy.emergency.readings import Resource
from policy.emergency.squeeze import EVERY as STEP_EVERY
from policy.emergency.squeeze import STEP
from policy.emergency.state import State
from policy.emergency.words import event_line, listed
from tests.policy.emergency.looks import CALM, EVERY, NOON, lasting, look, terms

CRITICAL = terms(criticalTenants=["billing"])
NOBODY = terms()
PANIC = lasting(State(), {"cpu": 97.0}, since=NOON, seconds=120)
BEGUN = NOON + timedelta(minutes=2)


def pressed(
    state: State, *, minutes: float, since: datetime = BEGUN, in_force: bool = True, **shares: float
) -> State:
    """The state after so long under these readings."""
    seconds = minutes * 60 - EVERY.total_seconds()
    told: dict[Resource, float] = {**CALM, **shares}  # type: ignore[dict-item]
    return lasting(
        state, told, since=since + EVERY, seconds=seconds, by=CRITICAL, in_force=in_force
    ).state


def test_panic_begins_without_a_squeeze() -> None:
    assert PANIC.state.level == "panic"
    assert PANIC.state.squeezed == 0
    assert PANIC.state.begun == BEGUN


def test_cpu_that_stays_full_although_the_caps_are_in_force_squeezes_by_steps_up_to_all() -> None:
    steps = [
        pressed(PANIC.state, minutes=minutes, cpu=97.0).squeezed for minutes in (1, 1.5, 3, 40)
    ]

    assert steps == [0, STEP, 2 * STEP, 200]


def test_without_critical_tenants_it_ends_when_all_of_the_need_is_taken() -> None:
    state = PANIC.state
    for number in range(1, 100):
        told = look(BEGUN + number * EVERY, {"cpu": 97.0})
        state = advance(state, told, terms=NOBODY, in_force=True).state

    assert state.squeezed == 100
    assert (state.taken(critical=False), state.taken(critical=True)) == (100, 0)


def test_caps_that_mimir_has_not_loaded_are_waited_for() -> None:
    assert pressed(PANIC.state, minutes=40, in_force=False, cpu=97.0).squeezed == 0


def test_each_step_waits_for_its_caps_to_be_in_force() -> None:
    once = pressed(PANIC.state, minutes=1.5, cpu=97.0)
    later = BEGUN + timedelta(minutes=1.5)

    waiting = pressed(once, since=later, minutes=10, in_force=False, cpu=97.0)
    soon = pressed(waiting, since=later + timedelta(minutes=10), minutes=1, cpu=97.0)

    assert once.squeezed == soon.squeezed == STEP


def test_an_emergency_below_panic_squeezes_nobody() -> None:
    state = lasting(State(), {"cpu": 92.0}, since=NOON, seconds=120).state

    assert pressed(state, minutes=40, cpu=92.0).squeezed == 0


def test_danger_below_panic_ends_the_squeezing() -> None:
    assert pressed(PANIC.state, minutes=40, cpu=92.0).squeezed == 0


def test_memory_that_is_full_and_does_not_rise_is_not_squeezed_for() -> None:
    """
    No cap empties it: that would cost everybody, and win nothing.
    """
    full = lasting(State(), {"memory": 96.0}, since=NOON, seconds=60).state

    assert pressed(full, minutes=40, memory=96.0).squeezed == 0


def test_memory_that_rises_on_under_the_caps_is_squeezed_for() -> None:
    state = lasting(State(), {"memory": 95.1}, since=NOON, seconds=60).state
    since = NOON + timedelta(minutes=1)
    for number in range(1, 13):
        told = look(since + number * EVERY, {"memory": 95.1 + number / 4})
        state = advance(state, told, terms=NOBODY, in_force=True).state

    assert state.squeezed == 2 * STEP


def test_the_squeeze_is_told_with_its_reason() -> None:
    before = lasting(
        PANIC.state, {"cpu": 97.0}, since=BEGUN + EVERY, seconds=45, by=CRITICAL, in_force=True
    ).state

    told = advance(before, look(BEGUN + 5 * EVERY, {"cpu": 97.0}), terms=CRITICAL, in_force=True)

    assert [event.kind for event in told.events] == ["squeezed"]
    line = event_line(told.events[0], before=before, after=told.state, terms=CRITICAL)
    assert line.startswith("caps go below what is usually needed: 80 % of it at least, 100 % for")
    assert "cpu of ingester-0 at 97 %" in line
    rows = listed(told.state, terms=CRITICAL).filter(kind="squeeze")
    assert rows["told"].item().startswith("caps go below what is usually needed")


def test_recovery_gives_the_need_back_twice_as_fast_as_the_limits_and_ends() -> None:
    squeezed = pressed(PANIC.state, minutes=7, cpu=97.0)
    at, kept = BEGUN + timedelta(minutes=7), []
    state = squeezed
    while state.level != "none" and at < NOON + timedelta(hours=3):
        at += EVERY
        state = advance(state, look(at), terms=CRITICAL).state
        kept.append((state.restored, state.squeeze))

    assert squeezed.squeezed == 5 * STEP
    assert state.level == "none"
    assert {squeeze for restored, squeeze in kept if restored == 10} == {80}
    assert {squeeze for restored, squeeze in kept if restored >= 50} == {0}


def test_a_relapse_takes_the_limits_again_and_not_the_need_that_was_given_back() -> None:
    squeezed = pressed(PANIC.state, minutes=7, cpu=97.0)
    at, state = BEGUN + timedelta(minutes=7), squeezed
    while state.restored < 30:
        at += EVERY
        state = advance(state, look(at), terms=CRITICAL).state

    again = lasting(state, {"cpu": 97.0}, since=at + EVERY, seconds=120, by=CRITICAL).state

    assert again.restored == 0
    taken_back_at_once = 10  # when it is no longer healthy, and not yet dangerous
    assert again.squeeze == squeezed.squeezed - 2 * (30 - taken_back_at_once)


LOOKS = st.lists(
    st.tuples(
        st.sampled_from([50.0, 92.0, 97.0]),
        st.sampled_from([50.0, 88.0, 96.0, 99.0]),
        st.booleans(),
    ),
    min_size=1,
    max_size=60,
)


@given(told=LOOKS)
def test_while_nothing_is_given_back_the_squeeze_only_grows_and_by_one_step_a_minute(
    told: list[tuple[float, float, bool]],
) -> None:
    state, at, stepped = PANIC.state, BEGUN, BEGUN
    for cpu, memory, in_force in told:
        at += EVERY
        before = state
        readings: dict[Resource, float] = {"cpu": cpu, "memory": memory}
        state = advance(state, look(at, readings), terms=CRITICAL, in_force=in_force).state
        if state.squeezed == before.squeezed:
            continue
        assert state.squeezed == before.squeezed + STEP
        assert in_force
        assert at - stepped >= STEP_EVERY
        stepped = at


@given(squeezed=st.floats(0, 200), more=st.floats(0, 200), restored=st.floats(0, 100))
def test_more_of_the_squeeze_takes_no_less_and_more_given_back_takes_no_more(
    squeezed: float, more: float, restored: float
) -> None:
    def taken(much: float, back: float, *, critical: bool) -> float:
        return State(level="panic", squeezed=much, restored=back).taken(critical=critical)

    for critical in (False, True):
        least = taken(min(squeezed, more), restored, critical=critical)
        assert 0 <= least <= taken(max(squeezed, more), restored, critical=critical) <= 100
        assert taken(squeezed, restored, critical=critical) <= taken(squeezed, 0, critical=critical)
        assert taken(squeezed, 100, critical=critical) == 0
    if taken(squeezed, restored, critical=True):
        assert taken(squeezed, restored, critical=False) == pytest.approx(100)
