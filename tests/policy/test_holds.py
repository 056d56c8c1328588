"""A hold says what a revision said, and silences what it did not say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from policy.frames import COMPOSED, LAYERS, LIMITS, empty
from policy.holds import EVERYONE, HOLDS, Hold, held_layer, overruling, silenced, with_hold
from policy.layers import Bounds
from policy.plan import Terms, plan
from policy.stack import stack

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RATE, SERIES = "ingestion_rate", "max_global_series_per_user"
SAID = pl.DataFrame([("a", RATE, 5.0), ("b", RATE, 6.0)], schema=LIMITS, orient="row")


def word(tenant: str = EVERYONE, **told: object) -> Hold:
    said = {"revision": 3, "reason": "bad", "by": "anna", "since": NOON, "until": None}
    return Hold(tenant=tenant, **(said | told))  # type: ignore[arg-type]


def layer(name: str, tenant: str, limit: str, value: float) -> pl.DataFrame:
    kind = "cap" if name in {"budget", "breaker", "emergency"} else "set"
    row = (tenant, limit, name, kind, value, "why", "{}", NOON, None)
    return pl.DataFrame([row], schema=LAYERS, orient="row")


def published(layers: pl.DataFrame, holds: pl.DataFrame) -> dict[tuple[str, str], float]:
    found = plan(
        layers,
        observed=empty(LIMITS),
        standing=empty(LIMITS),
        bounds=Bounds(),
        terms=Terms(known=frozenset({RATE, SERIES})),
        now=NOON,
        holds=holds,
    )
    assert found.problems == ()
    return {
        (tenant, limit): value
        for tenant, limit, value in found.composed.select(LIMITS.names()).iter_rows()
    }


DECIDED = pl.concat(
    [
        layer("optimized", "a", RATE, 50.0),
        layer("optimized", "a", SERIES, 70.0),
        layer("breaker", "a", RATE, 2.0),
        layer("optimized", "c", RATE, 80.0),
    ]
)


def test_everyone_held_is_what_the_revision_said_and_nothing_else() -> None:
    layers, holds = with_hold(DECIDED, empty(HOLDS), word=word(), said=SAID)

    assert published(layers, holds) == {("a", RATE): 5.0, ("b", RATE): 6.0}


def test_a_held_tenant_leaves_the_others_alone() -> None:
    layers, holds = with_hold(DECIDED, empty(HOLDS), word=word("a"), said=SAID)

    assert published(layers, holds) == {("a", RATE): 5.0, ("c", RATE): 80.0}


def test_a_pin_is_said_over_a_hold_and_beside_it() -> None:
    pins = pl.concat([layer("pin", "a", RATE, 9.0), layer("pin", "c", SERIES, 8.0)])
    layers, holds = with_hold(pl.concat([DECIDED, pins]), empty(HOLDS), word=word(), said=SAID)

    assert published(layers, holds) == {
        ("a", RATE): 9.0,
        ("b", RATE): 6.0,
        ("c", SERIES): 8.0,
    }


@pytest.mark.parametrize("first", [EVERYONE, "a"])
def test_a_later_hold_replaces_what_its_tenant_was_held_at(first: str) -> None:
    layers, holds = with_hold(DECIDED, empty(HOLDS), word=word(first), said=SAID)
    later = SAID.with_columns(value=pl.col("value") + 100)

    layers, holds = with_hold(layers, holds, word=word("a", revision=4), said=later)

    assert published(layers, holds)["a", RATE] == 105.0
    assert holds.filter(tenant="a")["revision"].to_list() == [4]


def test_a_hold_that_has_ended_neither_says_nor_silences_anything() -> None:
    ended = word(until=NOON - timedelta(seconds=1))
    layers, holds = with_hold(DECIDED, empty(HOLDS), word=ended, said=SAID)

    assert published(layers, holds) == published(DECIDED, empty(HOLDS))


def test_what_goes_because_of_a_hold_says_so() -> None:
    standing = pl.DataFrame([("a", SERIES, 70.0)], schema=LIMITS, orient="row")
    layers, holds = with_hold(DECIDED, empty(HOLDS), word=word("a"), said=SAID)

    found = plan(
        layers,
        observed=empty(LIMITS),
        standing=standing,
        bounds=Bounds(),
        terms=Terms(known=frozenset({RATE, SERIES})),
        now=NOON,
        holds=holds,
    ).changes.filter(limit=SERIES)

    assert found.select("decided_by", "reason").row(0) == (
        "hold",
        "held at revision 3, which says nothing of it: bad",
    )


def test_the_stack_tells_what_a_hold_silences_and_what_is_in_force_then() -> None:
    layers, holds = with_hold(DECIDED, empty(HOLDS), word=word("a"), said=SAID)
    own = pl.DataFrame([("a", SERIES, 33.0)], schema=LIMITS, orient="row")

    told = stack("a", layers=layers, beneath=own, bounds=Bounds(), now=NOON, holds=holds)

    last = told.filter(pl.col("decides")).select("limit", "layer", "after").rows()
    assert last == [(RATE, "hold", 5.0), (SERIES, "hold", 33.0)]


def test_without_holds_nothing_is_silenced() -> None:
    rows = [("a", RATE, 5.0, "optimized", "why", None, None)]
    composed = pl.DataFrame(rows, schema=COMPOSED, orient="row")

    assert silenced(composed, holds=empty(HOLDS), now=NOON).equals(composed)


def test_an_operators_words_are_pins_and_the_holds_beneath_them() -> None:
    layers = pl.concat([held_layer(word(), said=SAID), layer("pin", "a", RATE, 9.0), DECIDED])

    found = overruling(layers, now=NOON)

    assert found.select("tenant", "layer", "value").sort("tenant").rows() == [
        ("a", "pin", 9.0),
        ("b", "hold", 6.0),
    ]


def test_a_pinned_rate_takes_the_operators_burst_along_where_ours_is_silenced() -> None:
    """Else the burst of their own, in force again, would refuse what the pinned rate allows."""
    burst = "ingestion_burst_size"
    layers = pl.concat([layer("optimized", "a", burst, 2e6), layer("pin", "a", RATE, 1.5e6)])
    layers, holds = with_hold(layers, empty(HOLDS), word=word(), said=empty(LIMITS))

    found = plan(
        layers,
        observed=pl.DataFrame([("", burst, 200_000.0)], schema=LIMITS, orient="row"),
        standing=empty(LIMITS),
        bounds=Bounds(),
        terms=Terms(known=frozenset({RATE, burst})),
        now=NOON,
        holds=holds,
    )

    assert dict(found.composed.select("limit", "value").iter_rows()) == {RATE: 1.5e6, burst: 1.5e6}
