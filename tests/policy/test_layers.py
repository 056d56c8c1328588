"""The cascade: what sets, what caps, what wins, and what is left to the operator."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from policy.errors import ConfigError
from policy.frames import COMPOSED, LAYERS, LIMITS
from policy.layers import CAPS, CASCADE, KINDS, Bounds, compose
from policy.stack import STACK, stack

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
RATE = "ingestion_rate"
SERIES = "max_global_series_per_user"
FREE = Bounds()


def word(layer: str, value: float, *, limit: str = RATE, tenant: str = "a", **more: object) -> dict:
    return {
        "tenant": tenant,
        "limit": limit,
        "layer": layer,
        "kind": KINDS.get(layer, "set"),
        "value": value,
        "reason": f"{layer} says so",
        "evidence": "{}",
        "written_at": NOON,
        "expires_at": None,
    } | more


def layers(*words: dict) -> pl.DataFrame:
    return pl.DataFrame(list(words), schema=LAYERS)


def own(*rows: tuple[str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=LIMITS, orient="row")


def composed(*words: dict, beneath: pl.DataFrame | None = None, bounds: Bounds = FREE) -> list:
    frame = compose(
        layers(*words),
        beneath=own() if beneath is None else beneath,
        bounds=bounds,
        now=NOON,
    )
    return frame.select("value", "decided_by").rows()


def test_the_optimized_value_replaces_the_tiers() -> None:
    assert composed(word("optimized", 13_000), word("tier", 50_000)) == [(13_000, "optimized")]


def test_the_lowest_cap_applies_to_what_is_set() -> None:
    words = [word("optimized", 13_000), word("budget", 9_000), word("breaker", 7_000)]

    assert composed(*words) == [(7_000, "breaker")]


def test_a_cap_above_the_value_leaves_the_setter_the_last_word() -> None:
    assert composed(word("tier", 100), word("budget", 100)) == [(100, "tier")]


def test_of_two_equal_caps_the_first_is_named_because_the_second_changed_nothing() -> None:
    words = [word("tier", 100), word("emergency", 50), word("budget", 50)]

    assert composed(*words) == [(50, "budget")]


def test_a_cap_where_nothing_is_set_caps_the_operators_own_value() -> None:
    assert composed(word("breaker", 60), beneath=own(("a", RATE, 100))) == [(60, "breaker")]


def test_a_cap_above_the_operators_own_value_publishes_nothing() -> None:
    assert composed(word("breaker", 160), beneath=own(("a", RATE, 100))) == []


def test_a_cap_over_an_unknown_value_is_published_itself() -> None:
    assert composed(word("breaker", 60)) == [(60, "breaker")]


def test_the_minimum_never_turns_a_cap_into_a_raise() -> None:
    """With 100 beneath and a minimum of 500, capping to 60 must not publish 500."""
    bounds = Bounds(minimum={RATE: 500})

    assert composed(word("breaker", 60), beneath=own(("a", RATE, 100)), bounds=bounds) == []


def test_a_cap_applies_below_unlimited() -> None:
    words = [word("tier", 0, limit=SERIES), word("emergency", 5_000, limit=SERIES)]

    assert composed(*words) == [(5_000, "emergency")]


def test_unlimited_that_nothing_caps_is_published_as_zero() -> None:
    assert composed(word("tier", 0, limit=SERIES)) == [(0, "tier")]


def test_an_unlimited_cap_caps_nothing() -> None:
    assert composed(word("budget", 0, limit=SERIES)) == []
    assert composed(word("tier", 7, limit=SERIES), word("budget", 0, limit=SERIES)) == [(7, "tier")]


def test_zero_of_a_limit_that_blocks_is_zero() -> None:
    assert composed(word("tier", 100), word("emergency", 0)) == [(0, "emergency")]


def test_a_pin_wins_over_caps_but_not_over_the_bounds() -> None:
    words = [word("optimized", 10), word("emergency", 5), word("pin", 900)]

    assert composed(*words) == [(900, "pin")]
    assert composed(*words, bounds=Bounds(maximum={RATE: 700})) == [(700, "pin")]


def test_a_pin_to_unlimited_is_held_to_the_maximum() -> None:
    bounds = Bounds(maximum={SERIES: 4_000})

    assert composed(word("pin", 0, limit=SERIES), bounds=bounds) == [(4_000, "pin")]


def test_the_reason_says_when_the_bounds_changed_the_value() -> None:
    frame = compose(
        layers(word("pin", 12_000)), beneath=own(), bounds=Bounds(maximum={RATE: 7_000}), now=NOON
    )

    assert frame["reason"].item() == "pin says so (held to the maximum of 7,000)"


def test_an_expired_word_is_not_heard() -> None:
    past, future = word("breaker", 1, expires_at=NOON), word("breaker", 2, expires_at=LATER)

    assert composed(past, beneath=own(("a", RATE, 100))) == []
    assert composed(past, future, beneath=own(("a", RATE, 100))) == [(2, "breaker")]


def test_two_words_of_one_layer_are_refused() -> None:
    with pytest.raises(ConfigError, match="tier says two things about ingestion_rate of a"):
        composed(word("tier", 1), word("tier", 2))


@pytest.mark.parametrize(
    "wrong",
    [
        word("guess", 1),
        word("defaults", 1),
        word("budget", 1, kind="set"),
        word("tier", 1, kind=None),
        word("tier", float("nan")),
        word("tier", float("inf")),
        word("tier", 1) | {"value": None},
    ],
    ids=["unknown", "defaults", "kind", "no kind", "nan", "infinite", "null"],
)
def test_a_word_that_cannot_be_composed_is_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError, match="cannot be composed"):
        composed(wrong)


def test_an_empty_cascade_publishes_nothing_in_the_right_shape() -> None:
    frame = compose(layers(), beneath=own(("a", RATE, 1)), bounds=FREE, now=NOON)

    assert frame.schema == COMPOSED
    assert frame.is_empty()


TENANTS = st.sampled_from(["a", "b"])
NAMES = st.sampled_from([RATE, SERIES])
VALUES = st.sampled_from([0.0, 1.0, 10.0, 250.5, 1e6]) | st.floats(0, 1e9)
WORDS = st.lists(
    st.builds(
        lambda layer, value, limit, tenant: word(layer, value, limit=limit, tenant=tenant),
        st.sampled_from(CASCADE[1:]),
        VALUES,
        NAMES,
        TENANTS,
    ),
    max_size=12,
    unique_by=lambda row: (row["tenant"], row["limit"], row["layer"]),
)
OWN = st.lists(
    st.tuples(TENANTS, NAMES, VALUES), max_size=4, unique_by=lambda row: (row[0], row[1])
)
BOUNDS = st.sampled_from(
    [FREE, Bounds(minimum={RATE: 5, SERIES: 20}, maximum={RATE: 1_000, SERIES: 5e5})]
)


def infinite(frame: pl.DataFrame) -> dict[tuple[str, str], float]:
    """What each limit is, 0 of the series limit being infinity."""
    return {
        (tenant, limit): float("inf") if limit == SERIES and value == 0 else value
        for tenant, limit, value in frame.select("tenant", "limit", "value").rows()
    }


def effective(words: list, beneath: list, bounds: Bounds) -> dict[tuple[str, str], float]:
    frame = compose(layers(*words), beneath=own(*beneath), bounds=bounds, now=NOON)
    return infinite(own(*beneath)) | infinite(frame)


@settings(max_examples=25, deadline=None)
@given(words=WORDS, beneath=OWN, bounds=BOUNDS, data=st.data())
def test_the_order_of_the_rows_does_not_matter(
    words: list, beneath: list, bounds: Bounds, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(words))

    first = compose(layers(*words), beneath=own(*beneath), bounds=bounds, now=NOON)
    second = compose(layers(*shuffled), beneath=own(*beneath), bounds=bounds, now=NOON)

    assert_frame_equal(first, second)


@settings(max_examples=25, deadline=None)
@given(words=WORDS, beneath=OWN, bounds=BOUNDS)
def test_a_cap_never_raises(words: list, beneath: list, bounds: Bounds) -> None:
    """Where nothing is known of a limit, a cap publishes itself: there was nothing to raise."""
    without = [row for row in words if row["layer"] not in CAPS]

    uncapped = effective(without, beneath, bounds)
    capped = effective(words, beneath, bounds)

    assert all(capped[key] <= value for key, value in uncapped.items())


@settings(max_examples=25, deadline=None)
@given(words=WORDS, beneath=OWN, bounds=BOUNDS)
def test_when_the_caps_expire_what_lay_beneath_is_back(
    words: list, beneath: list, bounds: Bounds
) -> None:
    caps = [row | {"expires_at": LATER} if row["layer"] in CAPS else row for row in words]
    without = [row for row in words if row["layer"] not in CAPS]

    after = compose(layers(*caps), beneath=own(*beneath), bounds=bounds, now=LATER)

    never = compose(layers(*without), beneath=own(*beneath), bounds=bounds, now=NOON)
    assert_frame_equal(after, never)


@settings(max_examples=25, deadline=None)
@given(words=WORDS, beneath=OWN)
def test_what_is_published_is_within_the_bounds(words: list, beneath: list) -> None:
    bounds = Bounds(minimum={RATE: 5, SERIES: 20}, maximum={RATE: 1_000, SERIES: 5e5})

    frame = compose(layers(*words), beneath=own(*beneath), bounds=bounds, now=NOON)

    for limit, value in frame.select("limit", "value").iter_rows():
        assert bounds.minimum[limit] <= value <= bounds.maximum[limit]


@settings(max_examples=25, deadline=None)
@given(words=WORDS, beneath=OWN, bounds=BOUNDS)
def test_pinning_what_was_composed_composes_to_the_same(
    words: list, beneath: list, bounds: Bounds
) -> None:
    """The cascade is idempotent: its own output, taken as the last word, changes nothing."""
    first = compose(layers(*words), beneath=own(*beneath), bounds=bounds, now=NOON)
    pins = [
        word("pin", value, limit=limit, tenant=tenant)
        for tenant, limit, value in first.select("tenant", "limit", "value").rows()
    ]

    second = compose(layers(*pins), beneath=own(*beneath), bounds=bounds, now=NOON)

    assert_frame_equal(first.select(LIMITS.names()), second.select(LIMITS.names()))


@settings(max_examples=25, deadline=None)
@given(words=WORDS, beneath=OWN, bounds=BOUNDS)
def test_the_stack_ends_where_the_cascade_does(words: list, beneath: list, bounds: Bounds) -> None:
    frame = layers(*words)
    what = {"beneath": own(*beneath), "bounds": bounds, "now": NOON}

    told = stack("a", layers=frame, **what)

    published = compose(frame, **what).filter(tenant="a")
    ends = told.group_by("limit").last()
    both = published.join(ends, on="limit", how="inner", suffix="_told")
    assert told.schema == STACK
    assert both.height == published.height
    assert both["value"].to_list() == both["after"].to_list()
    deciders = told.filter("decides").select("limit", "layer").rows()
    assert set(published.select("limit", "decided_by").rows()) <= set(deciders)


def test_the_stack_lists_every_voice_in_the_order_of_the_cascade() -> None:
    words = [
        word("breaker", 60),
        word("optimized", 80),
        word("tier", 50),
        word("pin", 9, tenant="b"),
    ]

    told = stack("a", layers=layers(*words), beneath=own(("a", RATE, 100)), bounds=FREE, now=NOON)

    assert told.select("layer", "after", "decides").rows() == [
        ("defaults", 100, False),
        ("tier", 50, False),
        ("optimized", 80, False),
        ("breaker", 60, True),
    ]
