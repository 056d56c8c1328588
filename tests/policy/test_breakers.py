"""The breaker of a tenant: one state at a time, never stuck, closed by itself when calm."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from policy.breakers import BREAKERS, CLOSED, Timing, stepped
from policy.detection import DETECTED

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LOOK = timedelta(seconds=15)
TIMING = Timing()
NOBODY = pl.DataFrame(schema={"tenant": pl.String(), "share": pl.Float64()})


def fired(*tenants: str, sure: bool = False) -> pl.DataFrame:
    rows = [
        {"tenant": tenant, "kind": "ingestion", "value": 9.0, "sure": sure, "because": "much"}
        for tenant in tenants
    ]
    return pl.DataFrame(rows, schema=DETECTED)


def refused(share: float, tenant: str = "a") -> pl.DataFrame:
    return pl.DataFrame({"tenant": [tenant], "share": [share]})


class Run:
    """One tenant's breaker through looks."""

    def __init__(self) -> None:
        self.now = NOON
        self.breakers = pl.DataFrame(schema=BREAKERS)
        self.states: list[str] = []

    def look(self, detected: pl.DataFrame, failing: pl.DataFrame = NOBODY) -> str:
        self.now += LOOK
        self.breakers, _ = stepped(
            self.breakers, detected=detected, failing=failing, now=self.now, timing=TIMING
        )
        self.states.append(self.state)
        return self.state

    def looks(
        self, span: timedelta, detected: pl.DataFrame, failing: pl.DataFrame = NOBODY
    ) -> None:
        for _ in range(span // LOOK):
            self.look(detected, failing)

    @property
    def state(self) -> str:
        found = self.breakers.filter(tenant="a")["state"].to_list()
        return found[0] if found else CLOSED


def test_one_look_is_watched_and_two_open_it() -> None:
    run = Run()

    assert [run.look(fired("a")), run.look(fired("a"))] == ["watch", "open"]


def test_what_is_sure_opens_it_at_once() -> None:
    assert Run().look(fired("a", sure=True)) == "open"


def test_one_odd_look_is_forgotten() -> None:
    run = Run()
    run.look(fired("a"))

    assert run.look(fired()) == CLOSED


def test_when_it_is_calm_it_is_tried_and_closed() -> None:
    run = Run()
    run.look(fired("a", sure=True))
    run.looks(timedelta(minutes=10), fired())

    order = list(dict.fromkeys(run.states))
    assert order == ["open", "half_open", "cooling"]
    assert run.states.index("half_open") * LOOK >= TIMING.open_for
    run.looks(TIMING.forget_after, fired())
    assert run.state == CLOSED


def test_a_trial_that_fails_opens_it_again_for_twice_as_long() -> None:
    run = Run()
    run.look(fired("a", sure=True))
    run.looks(timedelta(minutes=2), fired())
    assert run.state == "half_open"

    run.look(fired("a"), refused(0.9))
    again = len(run.states)
    run.looks(timedelta(minutes=5), fired())

    assert run.states[again - 1] == "open"
    lasted = run.states[again:].index("half_open") * LOOK
    assert lasted >= 2 * TIMING.open_for - LOOK


def test_a_trial_in_which_little_is_refused_goes_on() -> None:
    run = Run()
    run.look(fired("a", sure=True))
    run.looks(timedelta(minutes=2), fired())

    assert run.look(fired("a"), refused(0.1)) == "half_open"


def test_what_lasts_is_growth_and_is_not_opened_again_while_it_does() -> None:
    run = Run()
    run.looks(timedelta(hours=2), fired("a", sure=True), refused(0.9))

    assert run.state == "growth"
    first = run.states.index("growth")
    assert set(run.states[first:]) == {"growth"}
    assert first * LOOK <= TIMING.growth_after + 2 * LOOK
    run.looks(TIMING.calm_for + LOOK, fired())
    assert run.state == "cooling"


def test_what_is_held_stays_held_until_it_closes_though_only_another_kind_is_seen() -> None:
    """The cap itself ends an explosion of series, and the samples of it go on."""
    run = Run()
    of_series = fired("a", sure=True).with_columns(kind=pl.lit("series"))
    run.look(pl.concat([fired("a", sure=True), of_series]))
    run.look(fired("a"))
    run.look(fired())

    assert run.breakers["kinds"].to_list() == ["ingestion,series"]
    run.looks(timedelta(minutes=10), fired())
    run.look(fired("a", sure=True))
    assert run.breakers.select("state", "kinds").rows() == [("open", "ingestion")]


def test_each_tenant_has_its_own() -> None:
    run = Run()
    run.look(pl.concat([fired("a", sure=True), fired("b")]))
    run.look(fired("b"))

    assert dict(run.breakers.select("tenant", "state").iter_rows()) == {"a": "open", "b": "open"}
    assert run.breakers["tenant"].is_unique().all()


class Breaker(RuleBasedStateMachine):
    """Whatever happens, for however long: it closes within a bounded time of calm."""

    @initialize()
    def begin(self) -> None:
        self.run = Run()

    @rule(
        looks=st.integers(1, 40),
        sure=st.booleans(),
        share=st.sampled_from([None, 0.0, 0.4, 0.6, 1.0]),
    )
    def blast(self, looks: int, sure: bool, share: float | None) -> None:  # noqa: FBT001 - drawn
        failing = NOBODY if share is None else refused(share)
        self.run.looks(looks * LOOK, fired("a", sure=sure), failing)

    @rule(looks=st.integers(1, 40))
    def calm(self, looks: int) -> None:
        self.run.looks(looks * LOOK, fired())

    @rule(seconds=st.integers(0, 7_200), blasts=st.booleans())
    def stand_still(self, seconds: int, blasts: bool) -> None:  # noqa: FBT001 - drawn
        """The process was down for a while, and looks again."""
        self.run.now += timedelta(seconds=seconds)
        self.run.look(fired("a") if blasts else fired())

    @precondition(lambda self: self.run.states)
    @rule()
    def long_calm(self) -> None:
        self.run.looks(
            TIMING.most_open_for + TIMING.half_open_for + TIMING.calm_for + 4 * LOOK, fired()
        )
        assert self.run.state in {CLOSED, "cooling"}

    @invariant()
    def one_state_at_most(self) -> None:
        assert self.run.breakers.filter(tenant="a").height <= 1

    @invariant()
    def nothing_is_open_for_longer_than_it_may(self) -> None:
        opened = self.run.breakers.filter(state="open")["since"].to_list()
        assert all(self.run.now - since <= TIMING.most_open_for + LOOK for since in opened)


Breaker.TestCase.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
TestBreaker = Breaker.TestCase
