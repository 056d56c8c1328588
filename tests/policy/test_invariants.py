"""What must hold for any demand, over weeks of decisions by the code that decides in production."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.backtest_known import HOURS, known
from policy.backtest_walk import Candidate, walk
from policy.estimate import EstimateRules
from policy.frames import LIMITS
from policy.rules import Rules
from policy.sizing import round_up

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RATE = "ingestion_rate"
RULES = Rules(
    buffer_percentage=20, limits=(RATE,), min_limits={RATE: 1_000}, max_limits={RATE: 50_000}
)
CANDIDATE = Candidate(name="ours", rules=RULES, estimating=EstimateRules())
LEARNT = 13 * DAY  # enough to be believed for a lowering
RECENT = 8 * DAY

Demand = list[float]  # of each day, the same in all of its hours
some_days = st.lists(st.integers(2_000, 3_900), min_size=17, max_size=17)
some_tenants = st.lists(st.tuples(some_days, st.integers(1_000, 50_000)), min_size=4, max_size=20)


def hours(demands: list[Demand]) -> pl.DataFrame:
    """HOURS from Monday on of the tenants t0, t1, …"""
    rows = [
        (f"t{tenant}", RATE, MONDAY + day * DAY + hour * HOUR, peak, peak, peak, peak, 12)
        for tenant, demand in enumerate(demands)
        for day, peak in enumerate(map(float, demand))
        for hour in range(24)
    ]
    return pl.DataFrame(rows, schema=HOURS, orient="row")


def changes(
    demands: list[Demand],
    starts: list[float],
    *,
    days: int,
    begin: timedelta = LEARNT,
    candidate: Candidate = CANDIDATE,
) -> pl.DataFrame:
    """CHANGED_LIMITS of these tenants, decided every twelve hours."""
    start = [(f"t{tenant}", RATE, float(value)) for tenant, value in enumerate(starts)]
    return walk(
        known(hours(demands), with_seasons=True),
        start=pl.DataFrame(start, schema=LIMITS, orient="row"),
        candidate=candidate,
        begin=MONDAY + begin,
        end=MONDAY + days * DAY,
        every=12 * HOUR,
    )


def settled(level: float) -> float:
    """The limit that a constant demand asks for."""
    return float(pl.select(round_up(pl.lit(level * 1.2))).item())


@settings(max_examples=4)
@given(levels=st.lists(st.floats(1_000, 40_000), min_size=1, max_size=20))
def test_constant_demand_never_changes_the_limit_that_it_asks_for(levels: list[float]) -> None:
    """Once it is known for so long that it is fully believed."""
    found = changes(
        [[level] * 20 for level in levels],
        [settled(level) for level in levels],
        begin=14 * DAY,
        days=20,
    )

    assert found.is_empty()


@settings(max_examples=4)
@given(tenants=some_tenants)
def test_every_change_stays_within_the_bounds_and_moves_by_its_step(
    tenants: list[tuple[Demand, float]],
) -> None:
    found = changes([demand for demand, _ in tenants], [start for _, start in tenants], days=17)

    after, before = pl.col("after"), pl.col("before")
    assert found.filter((after < 1_000) | (after > 50_000)).is_empty()
    assert found.filter(after < before * 0.9).is_empty()
    doubled = round_up(before * 2)
    assert found.filter(after > doubled).is_empty()


@settings(max_examples=4)
@given(tenants=some_tenants)
def test_nothing_is_lowered_below_the_recent_peak_with_its_floor(
    tenants: list[tuple[Demand, float]],
) -> None:
    demands = [demand for demand, _ in tenants]

    found = changes(demands, [start for _, start in tenants], days=17)

    for change in found.filter(pl.col("after") < pl.col("before")).iter_rows(named=True):
        demand, today = demands[int(change["tenant"][1:])], (change["at"] - MONDAY) // DAY
        # A day of which nothing is known yet when it begins does not count.
        last = today if change["at"] > MONDAY + today * DAY else today - 1
        recent = demand[today - RECENT // DAY + 1 : last + 1]
        assert change["after"] >= 1.05 * max(recent)


@settings(max_examples=4)
@given(tenants=some_tenants)
def test_a_limit_is_lowered_at_most_once_in_three_days(
    tenants: list[tuple[Demand, float]],
) -> None:
    found = changes([demand for demand, _ in tenants], [start for _, start in tenants], days=17)

    moved = found.sort("tenant", "at").with_columns(
        since=pl.col("at") - pl.col("at").shift().over("tenant")
    )
    lowered = moved.filter(pl.col("after") < pl.col("before"))
    assert lowered.filter(pl.col("since") < 3 * DAY).is_empty()


@settings(max_examples=4)
@given(tenants=some_tenants)
def test_without_data_nothing_changes_any_more(tenants: list[tuple[Demand, float]]) -> None:
    """The last word of the last hour counts for a quarter of an hour, then nothing is believed."""
    found = changes([demand for demand, _ in tenants], [start for _, start in tenants], days=20)

    assert (found["at"].max() or MONDAY) <= MONDAY + 17 * DAY


@settings(max_examples=4)
@given(demand=some_days, start=st.sampled_from([4_800.0, 20_000.0]))
def test_another_unit_of_demand_gives_the_same_decisions(demand: Demand, start: float) -> None:
    """Nothing but the bounds has a scale of its own; a limit of two digits is one in all units."""
    free = replace(CANDIDATE, rules=Rules(buffer_percentage=20, limits=(RATE,)))
    scales = (1.0, 100.0, 1e8)

    found = changes(
        [[value * scale for value in demand] for scale in scales],
        [start * scale for scale in scales],
        candidate=free,
        days=17,
    )

    turns = found.with_columns(up=pl.col("after") > pl.col("before")).sort("at")
    first, *others = (
        turns.filter(tenant=f"t{number}").select("at", "up").rows() for number in range(len(scales))
    )
    assert others == [first, first]
