"""The emergency under any sequence of looks: what always holds."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from policy.emergency.machine import Advanced, advance
from policy.emergency.readings import Look
from policy.emergency.rules import rank
from policy.emergency.state import State, as_json, from_json
from tests.policy.emergency.looks import DEFAULTS, EVERY, NOON, look

SHARES = st.dictionaries(
    st.sampled_from(["cpu", "memory", "disk", "network"]),
    st.sampled_from([10.0, 60.0, 72.0, 78.0, 88.0, 92.0, 97.0]),
    max_size=4,
)
CALM = {"cpu": 10.0, "memory": 10.0, "disk": 10.0, "network": 10.0, "samples": 1_000.0}
# Stable, then a step for every ten of ninety points, with room for the looks in between.
LONGEST_RECOVERY = timedelta(minutes=10) + 9 * timedelta(minutes=5)


class Emergencies(RuleBasedStateMachine):
    """Looks of any kind, restarts in between, and calm now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.at = NOON
        self.state = State()
        self.twin = State()
        self.before = State()

    def _look(self, told: Look) -> Advanced:
        self.before = self.state
        advanced = advance(self.state, told, terms=DEFAULTS)
        self.state = advanced.state
        self.twin = advance(self.twin, told, terms=DEFAULTS).state
        return advanced

    def _next(self, looks: int = 1) -> datetime:
        self.at += looks * EVERY
        return self.at

    @rule(shares=SHARES, times=st.integers(1, 12), gap=st.sampled_from([1, 1, 1, 2, 40]))
    def use(self, shares: dict[str, float], times: int, gap: int) -> None:
        self._next(gap)
        for _ in range(times):
            self._look(look(self._next(), shares))  # type: ignore[arg-type]

    @rule(memory=st.sampled_from([88.0, 97.0]))
    def overload(self, memory: float) -> None:
        for _ in range(5):
            self._look(look(self._next(), {**CALM, "memory": memory}))  # type: ignore[dict-item]
        assert self.state.is_emergency

    @rule(times=st.integers(1, 12))
    def measure_nothing(self, times: int) -> None:
        for _ in range(times):
            level, restored = self.state.level, self.state.restored
            self._look(look(self._next(), {}))
            assert self.state.level == level
            assert self.state.restored == restored

    @rule(rejected=st.sampled_from([0.0, 2.0, 100.0]))
    def refuse(self, rejected: float) -> None:
        self._look(look(self._next(), CALM, rejected=rejected))  # type: ignore[arg-type]

    @rule(up=st.dictionaries(st.sampled_from(["ingester-0", "ingester-1"]), st.booleans()))
    def lose(self, up: dict[str, bool]) -> None:
        self._look(look(self._next(), CALM, up=up))  # type: ignore[arg-type]

    @rule(minutes=st.integers(9, 25))
    def rest(self, minutes: int) -> None:
        end = self.at + timedelta(minutes=minutes)
        while self.at < end:
            self._look(look(self._next(), CALM))  # type: ignore[arg-type]

    @rule()
    def restart(self) -> None:
        self.state = from_json(as_json(self.state))

    @precondition(lambda self: self.state.is_emergency)
    @rule()
    def calm_down(self) -> None:
        # A process that is gone is forgotten after a quarter of an hour.
        since = self._next()
        longest = LONGEST_RECOVERY + timedelta(minutes=15) + 4 * EVERY
        while self.state.level != "none" and self.at < since + longest:
            self._look(look(self._next(), CALM))  # type: ignore[arg-type]
        assert self.state.level == "none"
        assert self.state.actions == {}

    @invariant()
    def a_restart_changes_nothing(self) -> None:
        assert self.state == self.twin

    @invariant()
    def a_level_has_a_beginning_and_a_reason_and_only_a_level_has(self) -> None:
        has_level = self.state.level != "none"
        assert has_level == (self.state.since is not None)
        assert has_level == bool(self.state.because)

    @invariant()
    def a_level_falls_to_nothing_and_never_in_between(self) -> None:
        fell = rank(self.state.level) < rank(self.before.level)
        assert not fell or self.state.level == "none"

    @invariant()
    def nothing_is_given_back_beyond_what_was_taken_and_only_in_an_emergency(self) -> None:
        assert 0 <= self.state.restored <= self.state.most
        assert self.state.is_emergency or self.state.restored == 0

    @invariant()
    def only_an_emergency_does_anything(self) -> None:
        assert self.state.is_emergency or not self.state.actions


Emergencies.TestCase.settings = hypothesis_settings(
    max_examples=100, stateful_step_count=30, deadline=None
)
TestEmergencies = Emergencies.TestCase
