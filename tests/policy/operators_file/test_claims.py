"""What is kept of the places that are ours."""

from __future__ import annotations

import pytest

from policy.errors import ConfigError
from policy.operators_file import Claims


def test_the_same_claims_give_the_same_bytes_whatever_their_order() -> None:
    one = Claims(
        before={"b": {"y": "1", "x": None}, "a": {}}, tenants=frozenset({"b", "a"}), overrides=True
    )
    other = Claims(
        before={"a": {}, "b": {"x": None, "y": "1"}}, tenants=frozenset({"a", "b"}), overrides=True
    )

    assert one.to_json() == other.to_json()
    assert one.to_json() == (
        '{"before":{"a":{},"b":{"x":null,"y":"1"}},"overrides":true,"tenants":["a","b"],'
        '"wrapped":[]}'
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"before":{}}',
        '{"before":{"a":5},"tenants":[]}',
        '{"before":{"a":{"rate":5}},"tenants":[]}',
        '{"before":{},"tenants":[],"later":1}',
    ],
)
def test_what_tells_no_claims_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="does not say which of its limits are ours: put it back"):
        Claims.from_json(text)
