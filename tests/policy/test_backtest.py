"""Replaying the past: what is counted, what is decided when, and that nothing looks ahead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from policy.backtest import Totals, backtest, gate
from policy.backtest_known import HOURS, Known, known
from policy.backtest_measure import outcomes_of
from policy.backtest_standing import CHANGED_LIMITS
from policy.backtest_walk import Candidate, walk
from policy.errors import ConfigError
from policy.estimate import EstimateRules, estimate
from policy.evidence import Evidence
from policy.frames import LIMITS, MOVES, empty
from policy.recommend import recommend
from policy.rules import Rules

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RATE = "ingestion_rate"
CANDIDATE = Candidate(
    name="ours",
    rules=Rules(buffer_percentage=20, limits=(RATE,)),
    estimating=EstimateRules(growth_lead=timedelta(0)),
)


def hours(
    demand: Callable[[int], float | None],
    *,
    count: int,
    tenant: str = "a",
    highest: Callable[[int], float] | None = None,
) -> pl.DataFrame:
    """HOURS from Monday on whose peak, level and mean are what `demand` says of each hour."""
    rows = []
    for hour in range(count):
        peak = demand(hour)
        top = peak if highest is None else highest(hour)
        rows.append((tenant, RATE, MONDAY + hour * HOUR, peak, top, peak, peak, 12))
    return pl.DataFrame(rows, schema=HOURS, orient="row")


def starting(value: float, *, tenant: str = "a") -> pl.DataFrame:
    return pl.DataFrame([(tenant, RATE, value)], schema=LIMITS, orient="row")


def changes(*rows: tuple[int, float, float], tenant: str = "a") -> pl.DataFrame:
    return pl.DataFrame(
        [(tenant, RATE, MONDAY + hour * HOUR, before, after) for hour, before, after in rows],
        schema=CHANGED_LIMITS,
        orient="row",
    )


def measured(past: pl.DataFrame, *, start: float, changed: pl.DataFrame, count: int) -> dict:
    found = outcomes_of(
        past, start=starting(start), changes=changed, since=MONDAY, until=MONDAY + count * HOUR
    )
    return found.row(0, named=True)


def walked(
    past: pl.DataFrame, *, start: float, days: float, begin: float = 15.0, every: timedelta = HOUR
) -> pl.DataFrame:
    return walk(
        known(past, with_seasons=True),
        start=starting(start),
        candidate=CANDIDATE,
        begin=MONDAY + begin * DAY,
        end=MONDAY + days * DAY,
        every=every,
    )


def test_an_hour_above_the_limit_is_counted_with_its_minutes_and_amount() -> None:
    """Its mean of 60 goes with seven of twelve buckets at 100, and not with eight: 35 minutes."""
    past = hours(lambda hour: 120.0 if hour == 2 else 80.0, count=4).with_columns(mean=pl.lit(60.0))

    found = measured(past, start=100, changed=empty(CHANGED_LIMITS), count=4)

    assert found["hours"] == 4
    assert found["hours_refused"] == 1
    assert found["minutes_refused"] == 35
    assert found["amount_refused"] == 20 * 35 * 60
    assert found["headroom"] == pytest.approx(400 / 360)


def test_what_a_blast_asked_for_is_counted_apart() -> None:
    past = hours(
        lambda hour: None if hour == 1 else 80.0,
        highest=lambda hour: 900.0 if hour == 1 else 80.0,
        count=3,
    )

    found = measured(past, start=100, changed=empty(CHANGED_LIMITS), count=3)

    assert (found["hours_refused"], found["blast_hours_refused"]) == (0, 1)
    assert found["minutes_refused"] == 0


def test_a_limit_holds_from_the_hour_of_its_change_on() -> None:
    past = hours(lambda _: 110.0, count=4)

    found = measured(past, start=100, changed=changes((2, 100, 150)), count=4)

    assert found["hours_refused"] == 2
    assert found["limit_at_end"] == 150
    assert (found["changes"], found["raises"], found["reversals"]) == (1, 1, 0)
    assert found["largest_step"] == pytest.approx(0.5)
    assert found["changes_per_week"] == pytest.approx(7 * 24 / 4)


def test_each_turn_of_direction_is_a_reversal() -> None:
    past = hours(lambda _: 50.0, count=5)

    found = measured(
        past, start=100, changed=changes((1, 100, 120), (2, 120, 110), (3, 110, 130)), count=5
    )

    assert (found["raises"], found["reversals"]) == (2, 2)


def test_regret_is_what_the_limit_was_above_the_highest_peak_to_come() -> None:
    """To come are 200, 200, 80 and 80; the limit of 300 is above them by 640 of 560."""
    past = hours(lambda hour: 200.0 if hour == 1 else 80.0, count=4)

    found = measured(past, start=300, changed=empty(CHANGED_LIMITS), count=4)

    assert found["regret"] == pytest.approx(640 / 560)


def test_a_peak_after_the_judged_time_was_still_to_come() -> None:
    past = hours(lambda hour: 200.0 if hour == 30 else 80.0, count=40)

    found = measured(past, start=200, changed=empty(CHANGED_LIMITS), count=4)

    assert found["regret"] == 0


def test_steady_demand_with_room_enough_changes_nothing() -> None:
    past = hours(lambda _: 1_000.0, count=19 * 24)

    assert walked(past, start=1_250, days=19).is_empty()


def test_a_limit_that_is_too_high_comes_down_by_a_tenth_each_72_hours() -> None:
    """Not before the twelfth day: an estimate of fewer days is not believed enough."""
    found = walked(
        hours(lambda _: 1_000.0, count=19 * 24), start=100_000, begin=11, days=19, every=12 * HOUR
    )

    times = found["at"].to_list()
    assert times[0] > MONDAY + 11 * DAY
    assert {later - earlier for earlier, later in pairwise(times)} == {3 * DAY}
    assert found.filter(pl.col("after") < pl.col("before") * 0.9).is_empty()
    assert found.row(0, named=True)["after"] == 90_000


def test_a_step_is_met_at_the_next_moment() -> None:
    """The hour of the step refuses something; when it is over, the limit is raised at once."""
    stepped = 15 * 24 + 10
    past = hours(lambda hour: 1_000.0 if hour < stepped else 2_000.0, count=16 * 24)

    found = backtest(
        past,
        start=starting(1_250),
        candidate=CANDIDATE,
        begin=MONDAY + 15 * DAY,
        end=MONDAY + 16 * DAY,
    )

    assert found.changes["at"].to_list() == [MONDAY + (stepped + 1) * HOUR]
    assert found.outcomes["hours_refused"].to_list() == [1]


def test_a_blast_raises_nothing_and_is_not_held_against_the_policy() -> None:
    past = hours(
        lambda hour: None if hour in {370, 371} else 1_000.0,
        highest=lambda hour: 9_000.0 if hour in {370, 371} else 1_000.0,
        count=17 * 24,
    )

    found = backtest(
        past,
        start=starting(1_250),
        candidate=CANDIDATE,
        begin=MONDAY + 15 * DAY,
        end=MONDAY + 17 * DAY,
    )

    assert found.changes.is_empty()
    assert (found.totals.hours_refused, found.outcomes["blast_hours_refused"].sum()) == (0, 2)


def test_a_tenant_of_which_nothing_stands_has_the_default_or_is_not_judged() -> None:
    past = hours(lambda _: 1_000.0, count=16 * 24)
    assumed = replace(CANDIDATE, rules=replace(CANDIDATE.rules, default_limits={RATE: 1_250.0}))
    span = {"begin": MONDAY + 15 * DAY, "end": MONDAY + 16 * DAY}

    without = backtest(past, start=empty(LIMITS), candidate=CANDIDATE, **span)
    with_one = backtest(past, start=empty(LIMITS), candidate=assumed, **span)

    assert without.totals.limits == 0
    assert with_one.outcomes["limit_at_end"].to_list() == [1_250.0]


def test_a_limit_of_0_is_not_judged() -> None:
    """Unlimited refuses nothing, and what blocks a tenant was meant to."""
    past = hours(lambda _: 1_000.0, count=16 * 24)
    span = {"begin": MONDAY + 15 * DAY, "end": MONDAY + 16 * DAY}

    found = backtest(past, start=starting(0), candidate=CANDIDATE, **span)

    assert (found.totals.limits, found.totals.hours_refused) == (0, 0)


def demand_of(seed: int) -> Callable[[int], float]:
    """Days with a curve, jumps and an event now and then; the same for the same seed."""

    def demand(hour: int) -> float:
        noise = ((hour * 7919 + seed * 104_729) % 1_000) / 1_000
        jump = 1 + ((hour // 24 * 31 + seed) % 7) * 0.15
        event = 4.0 if (hour + seed) % 251 == 0 else 1.0
        return 1_000.0 * jump * event * (1 + 0.3 * noise) * (0.6 if hour % 24 < 8 else 1.0)

    return demand


def one_by_one(past: Known, *, start: pl.DataFrame, candidate: Candidate, days: int) -> list:
    """The walk told plainly: one estimate and one recommendation for each moment."""
    limits, done, refused = start, [], {}
    leanings = None
    now = MONDAY + DAY
    while now < MONDAY + days * DAY:
        then = now + 4 * HOUR
        rows = past.days([now], window=candidate.estimating.window).drop("moment")
        ages = {tenant: (now.date() - day).days for tenant, day in refused.items()}
        estimates = estimate(
            rows,
            seasons=past.cells([now]).drop("moment"),  # type: ignore[union-attr]
            rules=candidate.estimating,
            now=now,
        ).with_columns(
            pressed_days_ago=pl.col("tenant").replace_strict(
                ages, default=None, return_dtype=pl.Int64
            )
        )
        known_of = {} if leanings is None else {"leanings": leanings}
        found = recommend(
            Evidence(
                estimates=estimates,
                current=limits,
                coverage=1.0,
                changed=pl.DataFrame(
                    [(t, RATE, at) for t, at in {t: at for at, t, *_ in done}.items()],
                    schema={
                        "tenant": pl.String,
                        "limit": pl.String,
                        "changed_at": MOVES["raised_at"],
                    },
                    orient="row",
                ),
                moves=moves_of(done, now=now),
                **known_of,
            ),
            rules=candidate.rules,
            now=now,
        )
        leanings = found.leanings
        moved = found.decisions.filter(pl.col("outcome").is_in(["raise", "lower"]))
        done += [(now, row["tenant"], row["before"], row["after"]) for row in moved.to_dicts()]
        limits = found.decisions.select("tenant", "limit", value="after")
        held = dict(limits.select("tenant", "value").iter_rows())
        here = past.hours.filter(pl.col("at").is_between(now, then, closed="left"))
        refused |= {
            tenant: now.date()
            for tenant, highest in here.select("tenant", "highest").iter_rows()
            if highest > held[tenant]
        }
        now = then
    return done


def moves_of(done: list, *, now: datetime) -> pl.DataFrame:
    rows = []
    for tenant in {tenant for _, tenant, *_ in done}:
        own = [(at, after > before) for at, who, before, after in done if who == tenant]
        turns = [at for (at, up), (_, was) in zip(own[1:], own, strict=False) if up != was]
        rows.append(
            (
                tenant,
                RATE,
                max((at for at, up in own if up), default=None),
                max((at for at, up in own if not up), default=None),
                sum(at > now - 14 * DAY for at in turns),
                0,
                0,
            )
        )
    return pl.DataFrame(rows, schema=MOVES, orient="row")


def test_a_day_at_once_decides_what_one_moment_after_another_decides() -> None:
    seed = 1
    past = known(
        pl.concat(
            [
                hours(demand_of(seed), count=4 * 24, tenant="a"),
                hours(demand_of(seed + 50), count=4 * 24, tenant="b"),
            ]
        ),
        with_seasons=True,
    )
    start = pl.concat([starting(2_000, tenant="a"), starting(90_000, tenant="b")])
    quick = replace(
        CANDIDATE,
        rules=replace(
            CANDIDATE.rules,
            lower_cooldown=3 * HOUR,
            quiet_before_lowering=6 * HOUR,
            min_confidence=0.05,
            min_history=HOUR,
        ),
    )

    found = walk(
        past,
        start=start,
        candidate=quick,
        begin=MONDAY + DAY,
        end=MONDAY + 3 * DAY,
        every=4 * HOUR,
    )

    plainly = one_by_one(past, start=start, candidate=quick, days=3)
    assert found.select("at", "tenant", "before", "after").rows() == plainly
    assert len(plainly) > 5


@settings(max_examples=4, deadline=None)
@given(cut=st.integers(min_value=25, max_value=47), factor=st.sampled_from([0.1, 3.0, 50.0]))
def test_what_comes_later_changes_no_decision_before_it(cut: int, factor: float) -> None:
    """No look-ahead: other demand from an hour on leaves every decision up to it as it was."""
    usual = demand_of(3)
    past = hours(usual, count=2 * 24)
    other = hours(lambda hour: usual(hour) * (factor if hour >= cut else 1), count=2 * 24)

    decided = walked(past, start=1_500, begin=1, days=2, every=6 * HOUR)
    otherwise = walked(other, start=1_500, begin=1, days=2, every=6 * HOUR)

    until = pl.col("at") <= MONDAY + cut * HOUR
    assert_frame_equal(decided.filter(until), otherwise.filter(until))


def test_tenants_do_not_know_of_each_other() -> None:
    alone = hours(demand_of(1), count=3 * 24)
    both = pl.concat([alone, hours(demand_of(2), count=3 * 24, tenant="b")])
    start = pl.concat([starting(1_500), starting(1_500, tenant="b")])
    span = {
        "candidate": CANDIDATE,
        "begin": MONDAY + DAY,
        "end": MONDAY + 3 * DAY,
        "every": 6 * HOUR,
    }

    together = backtest(both, start=start, **span).outcomes.filter(tenant="a")

    assert_frame_equal(together, backtest(alone, start=start, **span).outcomes)


def result_of(**said: object) -> Totals:
    usual: dict[str, object] = {
        "candidate": "ours",
        "days": 60.0,
        "tenants": 10,
        "limits": 10,
        "hours_refused": 0,
        "refused_share": 0.0,
        "headroom": 2.0,
        "changes_per_week": 0.2,
        "changes_per_week_p90": 0.5,
        "reversals": 0,
        "largest_step": 0.3,
        "regret": 0.4,
    }
    return Totals(**(usual | said))  # type: ignore[arg-type]


def test_a_policy_that_refused_little_and_changed_seldom_passes() -> None:
    assert gate(result_of()).passed


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"days": 27.0}, "27 days were judged, and 28 are needed"),
        ({"refused_share": 0.0002}, "0.020 % of the time more was asked for"),
        ({"changes_per_week_p90": 1.5}, "1.5 times a week"),
        ({"limits": 0}, "nothing was judged"),
    ],
    ids=["too short", "refused", "restless", "empty"],
)
def test_the_gate_stays_shut_and_says_why(said: dict[str, object], why: str) -> None:
    verdict = gate(result_of(**said))

    assert not verdict.passed
    assert why in verdict.why[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"end": MONDAY},
        {"begin": MONDAY + timedelta(minutes=5)},
        {"every": timedelta(minutes=90)},
    ],
    ids=["no time", "within an hour", "no whole hours"],
)
def test_a_span_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    span = {"begin": MONDAY, "end": MONDAY + DAY} | wrong

    with pytest.raises(ConfigError, match="a backtest"):
        backtest(empty(HOURS), start=empty(LIMITS), candidate=CANDIDATE, **span)  # type: ignore[arg-type]
