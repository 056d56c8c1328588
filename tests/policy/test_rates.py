"""Rates of counters, per pod."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from policy.frames import READINGS
from policy.rates import RATES, rates

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
COUNTER = "cortex_distributor_samples_in_total"


def readings(*rows: dict[str, object]) -> pl.DataFrame:
    """READINGS with defaults: pod p, family COUNTER, user a, at noon."""
    defaults = dict.fromkeys(READINGS) | {"at": NOON, "pod": "p", "family": COUNTER, "user": "a"}
    return pl.DataFrame([defaults | row for row in rows], schema=READINGS)


def later(*rows: dict[str, object], seconds: float = 15.0) -> pl.DataFrame:
    return readings(*({"at": NOON + timedelta(seconds=seconds)} | row for row in rows))


def test_a_rate_is_the_increase_over_the_pods_own_seconds() -> None:
    previous = readings({"value": 100.0}, {"pod": "q", "value": 100.0})
    current = pl.concat(
        [later({"value": 400.0}), later({"pod": "q", "value": 400.0}, seconds=20.0)]
    )

    found = rates(previous, current).sort("pod")

    assert found.get_column("per_second").to_list() == [300 / 15, 300 / 20]
    assert found.schema == RATES


def test_a_counter_that_fell_has_grown_by_its_value_since_the_reset() -> None:
    found = rates(readings({"value": 1e9}), later({"value": 30.0}))

    assert found.get_column("per_second").to_list() == [30 / 15]


def test_a_reset_of_one_pod_does_not_touch_the_others() -> None:
    previous = readings({"value": 1000.0}, {"pod": "q", "value": 1000.0})
    current = later({"value": 15.0}, {"pod": "q", "value": 1150.0})

    found = rates(previous, current).sort("pod")

    assert found.get_column("per_second").to_list() == [1.0, 10.0]


def test_a_pod_without_an_earlier_page_has_no_rate() -> None:
    """
    A pod that just appeared brings counters from before we knew it.
    """
    found = rates(readings({"value": 0.0}), later({"pod": "new", "value": 1e9}))

    assert found.is_empty()


def test_a_pod_whose_clock_did_not_advance_has_no_rate() -> None:
    still = rates(readings({"value": 1.0}), later({"value": 2.0}, seconds=0))
    backwards = rates(readings({"value": 1.0}), later({"value": 2.0}, seconds=-5))

    assert still.is_empty()
    assert backwards.is_empty()


def test_a_counter_that_is_new_on_a_known_pod_started_at_zero() -> None:
    """
    A tenant's first blast shows at its first scrape, not at its second.
    """
    found = rates(readings({"value": 5.0}), later({"value": 5.0}, {"user": "b", "value": 150.0}))

    assert dict(found.select("user", "per_second").iter_rows()) == {"a": 0.0, "b": 10.0}


def test_a_counter_that_vanished_has_no_rate() -> None:
    found = rates(readings({"value": 5.0}, {"user": "b", "value": 5.0}), later({"value": 5.0}))

    assert found.get_column("user").to_list() == ["a"]


def test_rows_that_differ_only_in_dropped_labels_add_up_to_the_rate() -> None:
    before, now = ({"value": 10.0}, {"value": 20.0}), ({"value": 40.0}, {"value": 50.0})

    in_order = rates(readings(*before), later(*now))
    gone = rates(readings(*before, {"value": 30.0}), later(*now))

    assert in_order.get_column("per_second").sum() == 60 / 15
    assert gone.get_column("per_second").sum() == 30 / 15


def test_a_sum_that_falls_was_reset_whichever_of_its_rows_fell() -> None:
    found = rates(
        readings({"value": 10.0}, {"value": 20.0}), later({"value": 12.0}, {"value": 3.0})
    )

    assert found.get_column("per_second").to_list() == [15 / 15]


@given(st.data())
def test_the_order_of_the_rows_makes_no_difference(data: st.DataObject) -> None:
    values = st.floats(0, 1e12)
    keys = data.draw(st.lists(st.tuples(st.sampled_from("pq"), st.sampled_from("abc"))))
    rows = [
        {"pod": pod, "user": user, "before": data.draw(values), "after": data.draw(values)}
        for pod, user in keys
    ]
    key = ["pod", "family", "user", "reason"]

    def found(rows: list[dict[str, object]], order: list[int]) -> pl.DataFrame:
        named = [row | {"value": row["before"]} for row in rows]
        before = readings(
            *({"pod": r["pod"], "user": r["user"], "value": r["value"]} for r in named)
        )
        now = later(
            *(
                {"pod": r["pod"], "user": r["user"], "value": r["after"]}
                for r in (rows[n] for n in order)
            )
        )
        return rates(before, now).group_by(key).agg(pl.col("per_second").sum()).sort("pod", "user")

    straight = found(rows, list(range(len(rows))))
    shuffled = found(rows, data.draw(st.permutations(range(len(rows)))))

    assert_frame_equal(straight, shuffled, rel_tol=1e-9, abs_tol=1e-3)


def test_gauges_have_no_rate() -> None:
    gauge = {"family": "cortex_ingester_active_series"}

    assert rates(readings(gauge | {"value": 1.0}), later(gauge | {"value": 9.0})).is_empty()


def test_reasons_are_kept_apart_and_counters_without_a_user_are_kept() -> None:
    family = {"family": "cortex_discarded_samples_total"}
    rows: list[dict[str, object]] = [
        {**family, "reason": reason} for reason in ("rate_limited", "sample-too-old")
    ]
    rows.append({"family": "cortex_requests_total", "user": None})

    found = rates(
        readings(*(row | {"value": 0.0} for row in rows)),
        later(*(row | {"value": 15.0 * n} for n, row in enumerate(rows, start=1))),
    )

    assert sorted(found.select("user", "reason", "per_second").rows(), key=str) == sorted(
        [("a", "rate_limited", 1.0), ("a", "sample-too-old", 2.0), (None, None, 3.0)], key=str
    )


@given(st.floats(0, 1e15), st.floats(0, 1e15), st.floats(0.001, 1e6))
def test_a_rate_is_never_negative_and_never_more_than_the_counter_holds(
    before: float, after: float, seconds: float
) -> None:
    found = rates(readings({"value": before}), later({"value": after}, seconds=seconds))

    per_second = found.get_column("per_second").item()
    assert 0 <= per_second <= after / round(seconds, 6) * (1 + 1e-9)
