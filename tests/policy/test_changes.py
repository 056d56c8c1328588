"""What differs between two sets of limits, by meaning."""

from __future__ import annotations

import polars as pl

from policy.changes import changes
from policy.frames import CHANGES, COMPOSED, LIMITS


def limits(*rows: tuple[str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=LIMITS, orient="row")


def test_added_changed_and_removed_limits_are_told_apart() -> None:
    before = limits(("a", "x", 1.0), ("b", "x", 2.0), ("c", "x", 3.0))
    after = limits(("d", "x", 4.0), ("b", "x", 20.0), ("a", "x", 1.0))

    found = changes(before, after=after)

    assert found.schema == CHANGES
    assert found.select("tenant", "before", "after").rows() == [
        ("b", 2.0, 20.0),
        ("c", 3.0, None),
        ("d", None, 4.0),
    ]


def test_the_same_limits_differ_in_nothing() -> None:
    frame = limits(("a", "x", 0.1 + 0.2), ("b", "x", 0.0))

    assert changes(frame, after=limits(("b", "x", 0.0), ("a", "x", 0.3))).is_empty()


def test_zero_and_a_value_differ() -> None:
    assert changes(limits(("a", "x", 0.0)), after=limits(("a", "x", 1e-12))).height == 1


def test_a_change_carries_who_decided_it_and_why() -> None:
    row = {"tenant": "a", "limit": "x", "value": 5.0, "decided_by": "pin", "reason": "asked for"}
    after = pl.DataFrame([row | {"beneath": None, "expires_at": None}], schema=COMPOSED)

    found = changes(limits(("b", "x", 1.0)), after=after)

    assert found.select("tenant", "decided_by").rows() == [("a", "pin"), ("b", None)]
    assert found["reason"][0] == "asked for"
    assert "the operator's own value holds" in found["reason"][1]
