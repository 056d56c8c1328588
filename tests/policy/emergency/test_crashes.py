"""A crash is told apart from a rollout, a scale-down and a process that is just late."""

from __future__ import annotations

from datetime import timedelta

import pytest

from policy.emergency.machine import advance
from policy.emergency.readings import Look
from policy.emergency.state import State
from tests.policy.emergency.looks import CALM, DEFAULTS, EVERY, NOON, look

PODS = tuple(f"ingester-{number}" for number in range(6))
ALL_UP = dict.fromkeys(PODS, True)


def after(*looks: Look, state: State | None = None) -> State:
    state = state or State()
    for one in looks:
        state = advance(state, one, terms=DEFAULTS).state
    return state


def test_a_rollout_of_one_process_after_another_is_none() -> None:
    looks = [look(NOON, up=ALL_UP)]
    for number, pod in enumerate(PODS):
        at = NOON + (4 * number + 1) * EVERY
        looks += [
            look(at, up={**ALL_UP, pod: False}),
            look(at + EVERY, up={**ALL_UP, pod: False}),
            look(at + 2 * EVERY, up=ALL_UP, uptime={pod: timedelta(seconds=9)}),
            look(at + 3 * EVERY, up=ALL_UP, restarted=(pod,) if number % 2 else ()),
        ]
    quiet = [one for one in looks if not one.restarted]

    assert after(*quiet).level == "none"


def test_a_zone_that_is_rolled_at_once_is_none() -> None:
    zone = {**ALL_UP, "ingester-0": False, "ingester-1": False}

    state = after(look(NOON, up=ALL_UP), *(look(NOON + n * EVERY, up=zone) for n in range(1, 20)))

    assert state.level == "none"


def test_processes_that_were_scaled_down_are_none() -> None:
    few = dict.fromkeys(PODS[:2], True)

    state = after(look(NOON, up=ALL_UP), *(look(NOON + n * EVERY, up=few) for n in range(1, 20)))

    assert state.level == "none"


def test_processes_that_never_answered_are_none() -> None:
    absent = dict.fromkeys(PODS[1:], False)

    state = after(*(look(NOON + n * EVERY, up={"ingester-0": True, **absent}) for n in range(20)))

    assert state.level == "none"


def test_half_of_a_component_that_went_together_is_one_after_a_minute() -> None:
    half = {**ALL_UP, **dict.fromkeys(PODS[:3], False)}
    gone = [look(NOON + n * EVERY, up=half) for n in range(1, 6)]

    early = after(look(NOON, up=ALL_UP), *gone[:4])
    late = after(gone[4], state=early)

    assert early.level == "none"
    assert (late.level, late.phase) == ("emergency", 3)
    assert late.actions.keys() == {"circuit_breaker"}


@pytest.mark.parametrize(
    ("told", "crashed"),
    [
        (look(NOON, restarted=("ingester-0",)), False),
        (look(NOON, container_restarts={"ingester-0": 1.07}), False),
        (look(NOON, container_restarts={"ingester-0": 2.1}), True),
        (look(NOON, container_restarts={"ingester-0": 1.0}, oom_killed=("ingester-0",)), True),
        (look(NOON, container_restarts={"ingester-0": 0.0}, oom_killed=("ingester-0",)), False),
    ],
    ids=["restart", "one of its container", "two", "out of memory", "long ago"],
)
def test_what_one_look_tells_of_restarts(told: Look, crashed: bool) -> None:  # noqa: FBT001
    assert (after(told).level == "emergency") is crashed


def test_a_second_restart_within_five_minutes_is_one() -> None:
    first = look(NOON, restarted=("ingester-0",))

    soon = after(first, look(NOON + timedelta(minutes=4), restarted=("ingester-0",)))
    late = after(first, look(NOON + timedelta(minutes=6), restarted=("ingester-0",)))

    assert soon.level == "emergency"
    assert late.level == "none"


def test_a_restart_that_nobody_saw_counts_by_the_uptime() -> None:
    down = look(NOON + EVERY, CALM, up={"ingester-0": False, "ingester-1": True})
    back = look(
        NOON + 4 * EVERY,
        up={"ingester-0": True, "ingester-1": True},
        uptime={"ingester-0": timedelta(seconds=20)},
    )
    before = look(NOON, up={"ingester-0": True, "ingester-1": True})

    state = after(before, down, back)

    assert state.watch.restarted == {"ingester-0": back.at}


def test_a_restart_under_full_memory_is_one() -> None:
    state = after(look(NOON, {"memory": 90.0}), look(NOON + EVERY, CALM, restarted=("ingester-0",)))

    assert state.because == "ingester-0 restarted while its memory was full"


def test_a_rollout_of_a_process_whose_memory_is_worth_a_warning_is_none() -> None:
    state = after(
        *(look(NOON + n * EVERY, {"memory": 80.0}) for n in range(8)),
        look(NOON + 8 * EVERY, CALM, restarted=("ingester-0",)),
    )

    assert state.level != "emergency"
    assert not state.actions
