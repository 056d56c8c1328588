"""How an emergency ends: after health, by steps, each validated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest

from policy.emergency.machine import Advanced, advance
from policy.emergency.readings import Look
from policy.emergency.state import State, as_json, from_json
from tests.policy.emergency.looks import CALM, DEFAULTS, EVERY, NOON, lasting, look, terms

PANIC = lasting(State(), {"memory": 96.0}, since=NOON, seconds=60).state
BEGUN = NOON + timedelta(minutes=1)


def walk(
    state: State,
    told: Callable[[datetime], Look] = look,
    *,
    since: datetime,
    minutes: float,
) -> Iterator[tuple[datetime, Advanced]]:
    """Each look after `since` and what it came to."""
    at = since
    while at < since + timedelta(minutes=minutes):
        at += EVERY
        advanced = advance(state, told(at), terms=DEFAULTS)
        state = advanced.state
        yield at, advanced


def steps(walked: Iterator[tuple[datetime, Advanced]]) -> list[tuple[float, str, float]]:
    """Minutes since noon, what happened, and what is restored by then."""
    return [
        ((at - NOON) / timedelta(minutes=1), event.kind, advanced.state.restored)
        for at, advanced in walked
        for event in advanced.events
    ]


def test_panic_ends_by_nine_steps_of_ten_points_after_ten_minutes_of_health() -> None:
    found = steps(walk(PANIC, since=BEGUN, minutes=120))

    forth = [(11.25 + 5 * n, "stepped", 10.0 * (n + 1)) for n in range(8)]
    assert found == [*forth, (51.25, "recovered", 0.0)]


@pytest.mark.parametrize(
    "ill",
    [
        lambda at: look(at, {"cpu": 70.0, "memory": 50.0}),
        lambda at: look(at, {"cpu": 40.0, "memory": 75.0}),
        lambda at: look(at, {**CALM, "disk": 86.0}),
        lambda at: look(at, {**CALM, "network": 75.0}),
        lambda at: look(at, {**CALM, "samples": 4_800_000.0}),
    ],
    ids=["cpu", "memory", "disk", "network", "samples"],
)
def test_without_health_there_is_no_step(ill: Callable[[datetime], Look]) -> None:
    assert steps(walk(PANIC, ill, since=BEGUN, minutes=60)) == []


def test_a_look_that_is_not_healthy_begins_the_ten_minutes_anew() -> None:
    def told(at: datetime) -> Look:
        return look(
            at, {"cpu": 80.0} | {"memory": 50.0} if at == NOON + timedelta(minutes=9) else CALM
        )

    first, *_ = steps(walk(PANIC, told, since=BEGUN, minutes=30))

    assert first == (19.25, "stepped", 10.0)


def test_what_cannot_be_measured_is_no_health() -> None:
    found = steps(walk(PANIC, lambda at: look(at, {"cpu": 10.0}), since=BEGUN, minutes=60))

    assert found == [(1.25, "blind", 0.0)]


def test_a_step_is_taken_back_when_it_worsens_and_taken_again_when_it_is_well() -> None:
    bad = (NOON + timedelta(minutes=18), NOON + timedelta(minutes=19))

    def told(at: datetime) -> Look:
        return look(at, {"cpu": 80.0, "memory": 50.0} if bad[0] <= at <= bad[1] else CALM)

    found = steps(walk(PANIC, told, since=BEGUN, minutes=28))

    assert found == [
        (11.25, "stepped", 10.0),
        (16.25, "stepped", 20.0),
        (18.0, "stepped_back", 10.0),
        (24.25, "stepped", 20.0),
    ]


def test_while_it_stays_bad_one_step_after_the_other_is_taken_back() -> None:
    bad = NOON + timedelta(minutes=23)

    def told(at: datetime) -> Look:
        return look(at, {"cpu": 80.0, "memory": 50.0} if at >= bad else CALM)

    found = steps(walk(PANIC, told, since=BEGUN, minutes=60))

    assert [(kind, restored) for _, kind, restored in found] == [
        ("stepped", 10.0),
        ("stepped", 20.0),
        ("stepped", 30.0),
        ("stepped_back", 20.0),
        ("stepped_back", 10.0),
        ("stepped_back", 0.0),
    ]


def test_a_spike_of_refused_requests_takes_a_step_back() -> None:
    def told(at: datetime) -> Look:
        return look(at, rejected=50.0 if at >= NOON + timedelta(minutes=13) else 3.0)

    found = steps(walk(PANIC, told, since=BEGUN, minutes=13))

    assert [kind for _, kind, _ in found] == ["stepped", "stepped_back"]


def test_a_process_that_is_missing_holds_the_recovery_up() -> None:
    pods = {"ingester-0": True, "ingester-1": True}
    state = advance(PANIC, look(BEGUN + EVERY, up=pods), terms=DEFAULTS).state

    found = steps(
        walk(
            state,
            lambda at: look(at, up={**pods, "ingester-1": False}),
            since=BEGUN + EVERY,
            minutes=14,
        )
    )

    assert found == []


def test_a_second_wave_takes_everything_that_was_given_back() -> None:
    *_, (at, half_way) = walk(PANIC, since=BEGUN, minutes=20)

    again = lasting(half_way.state, {"memory": 96.0}, since=at + EVERY, seconds=60)

    assert half_way.state.restored == 20
    assert [event.kind for event in again.events] == ["relapsed"]
    assert again.state.level == "panic"
    assert again.state.points("reduce_limits") == 50


def test_a_restart_in_the_middle_goes_on_as_if_nothing_had_happened() -> None:
    *_, (at, half_way) = walk(PANIC, since=BEGUN, minutes=22)

    read_back = from_json(as_json(half_way.state))

    assert steps(walk(read_back, since=at, minutes=60)) == steps(
        walk(half_way.state, since=at, minutes=60)
    )


def test_after_a_long_absence_health_is_watched_anew_before_the_next_step() -> None:
    *_, (_, half_way) = walk(PANIC, since=BEGUN, minutes=13)
    back = NOON + timedelta(hours=2)

    first, *_ = steps(walk(half_way.state, since=back, minutes=10))

    assert first == (125.25, "stepped", 20.0)


def test_a_step_of_any_size_ends() -> None:
    by = terms(recovery={"stepPercentage": 40, "stableFor": "15s", "stepInterval": "15s"})
    state = PANIC

    kinds = []
    for number in range(1, 6):
        advanced = advance(state, look(BEGUN + number * EVERY), terms=by)
        state = advanced.state
        kinds += [event.kind for event in advanced.events]

    assert kinds == ["stepped", "stepped", "recovered"]
