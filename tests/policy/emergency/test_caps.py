"""What an emergency means for each limit of each tenant."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.emergency.caps import QUERIES, Ground, base_of, emergency_layer, same
from policy.emergency.needs import NEEDS
from policy.emergency.rules import Level
from policy.emergency.state import State
from policy.frames import LAYERS, LIMITS, empty
from policy.layers import Bounds, compose
from policy.validate import validate
from tests.policy.emergency.looks import NOON

RATE, BURST, SERIES = "ingestion_rate", "ingestion_burst_size", "max_global_series_per_user"
BASE = (
    ("acme", RATE, 10_000.0),
    ("acme", BURST, 100_000.0),
    ("acme", SERIES, 200_000.0),
    ("beta", RATE, 1_000.0),
    ("beta", BURST, 20_000.0),
    ("beta", SERIES, 50_000.0),
)
ALL = {
    "reduce_limits": 50.0,
    "throttle_ingestion": 80.0,
    "circuit_breaker": 90.0,
    "disable_queries": 0.0,
    "force_gc": 0.0,
}

Limit = tuple[str, str, float]


def state(
    level: Level = "panic", *, restored: float = 0.0, squeezed: float = 0.0, **actions: float
) -> State:
    return State(
        level=level,
        phase=4,
        since=NOON,
        because="memory of ingester-0 at 96 %",
        actions=actions,
        restored=restored,
        squeezed=squeezed,
    )


def ground(
    *base: Limit,
    critical: Collection[str] = (),
    needs: Sequence[Limit] = (),
    requests: Sequence[tuple[str, float]] = (),
    spoken: Sequence[tuple[str, str]] = (),
    minimum: dict[str, float] | None = None,
) -> Ground:
    return Ground(
        base=pl.DataFrame(base or BASE, schema=LIMITS, orient="row"),
        critical=critical,
        needs=pl.DataFrame(needs, schema=NEEDS, orient="row"),
        requests=pl.DataFrame(
            requests, schema={"tenant": pl.String(), "request": pl.Float64()}, orient="row"
        ),
        spoken=pl.DataFrame(
            spoken, schema={"tenant": pl.String(), "limit": pl.String()}, orient="row"
        ),
        queries=QUERIES,
        bounds=Bounds(minimum=minimum or {}),
    )


def caps(now: State, on: Ground | None = None) -> dict[tuple[str, str], float]:
    layer = emergency_layer(now, ground=on or ground(), written_at=NOON)
    return {(tenant, limit): value for tenant, limit, value in layer.select(*LIMITS).rows()}


def test_limits_are_reduced_by_the_percent_of_the_action() -> None:
    assert caps(state(reduce_limits=50.0)) == {
        (tenant, limit): value / 2 for tenant, limit, value in BASE
    }


def test_a_throttle_cuts_the_ingestion_alone() -> None:
    assert caps(state(throttle_ingestion=80.0)) == {
        ("acme", RATE): 2_000.0,
        ("acme", BURST): 20_000.0,
        ("beta", RATE): 200.0,
        ("beta", BURST): 4_000.0,
    }


def test_an_open_breaker_leaves_ten_percent() -> None:
    assert caps(state(circuit_breaker=90.0))["acme", RATE] == 1_000


def test_of_several_actions_the_strongest_counts() -> None:
    found = caps(state(**ALL))

    assert found["acme", RATE] == 1_000
    assert found["acme", SERIES] == 100_000


def test_queries_of_who_is_not_critical_run_on_one_querier() -> None:
    found = caps(state(disable_queries=0.0), ground(*BASE, critical=["acme"]))

    assert found == {("beta", limit): 1.0 for limit in QUERIES}


def test_queries_that_have_one_querier_already_are_left_alone() -> None:
    base = [*BASE, ("acme", "max_queriers_per_tenant", 1.0), ("beta", "max_query_parallelism", 0.0)]

    found = caps(state(disable_queries=0.0), ground(*base))

    assert ("acme", "max_queriers_per_tenant") not in found
    assert found["beta", "max_query_parallelism"] == 1.0


@pytest.mark.parametrize("level", ["emergency", "panic"])
def test_a_critical_tenant_is_cut_by_the_reduction_of_panic_alone(level: Level) -> None:
    found = caps(state(level, **ALL), ground(*BASE, critical=["acme"]))

    mine = {limit: value for (tenant, limit), value in found.items() if tenant == "acme"}
    reduced = {RATE: 5_000.0, BURST: 50_000.0, SERIES: 100_000.0}
    assert mine == (reduced if level == "panic" else {})


@pytest.mark.parametrize("critical", [["acme"], []])
def test_nobody_is_cut_below_what_it_usually_needs(critical: list[str]) -> None:
    needs = [("acme", RATE, 7_500.5), ("acme", SERIES, 150_000.0)]

    found = caps(state(**ALL), ground(*BASE, critical=critical, needs=needs))

    assert found["acme", RATE] == 7_501
    assert found["acme", SERIES] == 150_000


def test_who_is_not_known_to_need_anything_keeps_its_share_alone() -> None:
    found = caps(state(**ALL), ground(*BASE, needs=[("acme", RATE, 7_500.0)]))

    assert found["beta", RATE] == 100


def test_who_needs_all_of_its_limit_is_not_capped() -> None:
    found = caps(state(**ALL), ground(*BASE, needs=[("acme", RATE, 99_000.0)]))

    assert ("acme", RATE) not in found
    assert ("acme", BURST) not in found, "the burst follows a rate that is capped"


def test_a_squeeze_takes_from_the_need_of_who_is_not_critical_and_of_critical_tenants_last() -> (
    None
):
    needs = [("acme", RATE, 8_000.0), ("beta", RATE, 800.0)]
    on = ground(*BASE, critical=["acme"], needs=needs)

    def rates(squeezed: float) -> tuple[float, float]:
        found = caps(state(squeezed=squeezed, **ALL), on)
        return found["acme", RATE], found["beta", RATE]

    assert rates(0) == (8_000, 800)
    assert rates(40) == (8_000, 480)
    assert rates(100) == (8_000, 100), "the share of an open breaker, whatever is needed"
    assert rates(120) == (6_400, 100)
    assert rates(200) == (5_000, 100), "of a critical tenant half, by the reduction alone"


def test_recovery_gives_back_what_is_needed_before_the_limits() -> None:
    on = ground(*BASE, needs=[("acme", RATE, 8_000.0)])

    found = [
        caps(state(restored=restored, squeezed=100.0, **ALL), on)["acme", RATE]
        for restored in (0.0, 10.0, 30.0, 50.0, 70.0)
    ]

    needed = [8_000 * part / 100 for part in (0, 20, 60, 100, 100)]
    shares = [10_000 * part / 100 for part in (10, 20, 40, 60, 80)]
    assert found == [max(both) for both in zip(needed, shares, strict=True)]


def test_a_burst_lets_in_four_mean_requests() -> None:
    found = caps(state(circuit_breaker=90.0), ground(*BASE, requests=[("beta", 1_500.0)]))

    assert found["beta", BURST] == 6_000


def test_a_burst_of_requests_is_not_below_their_rate() -> None:
    base = [("acme", "request_rate", 100.0), ("acme", "request_burst_size", 120.0)]

    found = caps(state(reduce_limits=50.0), ground(*base, needs=[("acme", "request_rate", 80.0)]))

    assert found == {("acme", "request_rate"): 80.0, ("acme", "request_burst_size"): 80.0}


def test_the_hard_minimum_holds_and_is_told() -> None:
    found = caps(state(circuit_breaker=90.0), ground(*BASE, minimum={RATE: 900.0}))

    assert found["beta", RATE] == 900
    assert found["beta", BURST] == 2_000


def test_what_a_person_said_is_not_capped_and_neither_is_its_burst() -> None:
    found = caps(state(throttle_ingestion=80.0), ground(*BASE, spoken=[("acme", RATE)]))

    assert {tenant for tenant, _ in found} == {"beta"}


def test_what_is_unlimited_is_not_cut() -> None:
    found = caps(state(reduce_limits=50.0), ground(("acme", SERIES, 0.0), ("acme", RATE, 10.0)))

    assert found == {("acme", RATE): 5.0}


def test_recovery_gives_points_of_the_limit_back_to_each_action() -> None:
    now = state(restored=30.0, **ALL)

    found = caps(now)

    assert found["acme", RATE] == 4_000, "90 points less 30 are cut"
    assert found["acme", SERIES] == 160_000, "50 points less 30 are cut"
    assert found["acme", "max_queriers_per_tenant"] == 1, "until the last step"


def test_the_caps_carry_what_they_were_made_from_and_why() -> None:
    layer = emergency_layer(state(**ALL), ground=ground(), written_at=NOON)
    row = layer.filter(tenant="acme", limit=RATE).row(0, named=True)

    assert row["reason"] == "breaker opened from 10,000 to 1,000: memory of ingester-0 at 96 %"
    assert json.loads(row["evidence"]) == {
        "base": 10_000.0,
        "cut": 90.0,
        "action": "circuit_breaker",
        "need": None,
        "taken": 0.0,
    }
    read_back = base_of(layer).filter(pl.col("limit").is_in([RATE, BURST, SERIES]))
    assert sorted(read_back.rows()) == sorted(BASE)


@pytest.mark.parametrize(
    ("squeezed", "told"),
    [
        (0.0, "from 10,000 to 4,000, what it usually needs: memory"),
        (20.0, "from 10,000 to 3,200, 80 % of what it usually needs: memory"),
        (80.0, "from 10,000 to 1,000: memory"),
    ],
)
def test_the_reason_says_whether_it_is_the_need_that_a_cap_leaves(
    squeezed: float, told: str
) -> None:
    on = ground(*BASE, needs=[("acme", RATE, 4_000.0)])

    layer = emergency_layer(state(squeezed=squeezed, **ALL), ground=on, written_at=NOON)
    row = layer.filter(tenant="acme", limit=RATE).row(0, named=True)

    assert told in row["reason"]
    assert json.loads(row["evidence"])["need"] == 4_000
    assert json.loads(row["evidence"])["taken"] == squeezed


def test_caps_never_ratchet_down_from_run_to_run() -> None:
    layer = emergency_layer(state(**ALL), ground=ground(), written_at=NOON)

    for run in range(5):
        known = base_of(layer)
        again = emergency_layer(
            state(**ALL),
            ground=ground(*known.rows()),
            written_at=NOON + timedelta(seconds=15 * run),
        )
        assert same(again, layer)
        layer = again


def test_without_an_emergency_there_is_no_cap() -> None:
    assert emergency_layer(state("warning"), ground=ground(), written_at=NOON).equals(empty(LAYERS))


AMOUNTS = st.floats(min_value=1, max_value=1e9).map(round).map(float)


@given(
    rate=AMOUNTS,
    more=st.floats(min_value=1, max_value=100),
    series=AMOUNTS,
    request=AMOUNTS,
    usual=AMOUNTS,
    usual_series=AMOUNTS,
    squeezed=st.sampled_from([0.0, 20.0, 100.0, 140.0, 200.0]),
    least=st.floats(min_value=0, max_value=1e6).map(round).map(float),
    restored=st.sampled_from([0.0, 10.0, 40.0, 60.0, 80.0]),
    critical=st.booleans(),
    level=st.sampled_from(["emergency", "panic"]),
)
def test_whatever_is_capped_can_be_published_and_is_below_its_base_and_above_its_floor(
    *,
    rate: float,
    more: float,
    series: float,
    request: float,
    usual: float,
    usual_series: float,
    squeezed: float,
    least: float,
    restored: float,
    critical: bool,
    level: Level,
) -> None:
    base: list[Limit] = [
        ("acme", RATE, rate),
        ("acme", BURST, float(round(rate * more))),
        ("acme", SERIES, series),
    ]
    on = ground(
        *base,
        critical=["acme"] if critical else [],
        needs=[("acme", RATE, usual), ("acme", SERIES, usual_series)],
        requests=[("acme", request)],
        minimum={RATE: least},
    )
    now = state(level, restored=restored, squeezed=squeezed, **ALL)
    layer = emergency_layer(now, ground=on, written_at=NOON)

    beneath = pl.DataFrame(base, schema=LIMITS, orient="row")
    # What lies beneath is published as well: its burst is above its rate.
    composed = compose(layer, beneath=beneath, bounds=Bounds(), now=NOON)
    said = {limit: value for _, limit, value in layer.select(*LIMITS).rows()}
    assert validate(composed, known=[RATE, BURST, SERIES, *QUERIES]) == []
    assert all(value >= 1 for value in said.values())
    assert all(said[limit] < value for _, limit, value in base if limit in said)
    assert said.get(RATE, least) >= min(least, rate)
    left = (100 - now.taken(critical=critical)) / 100
    for limit, need, value in ((RATE, usual, rate), (SERIES, usual_series, series)):
        assert said.get(limit, value) >= min(need * left, value), "what is needed is not refused"
