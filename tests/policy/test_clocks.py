"""Whose clock is wrong, told from how far the others are ahead of ours."""

from __future__ import annotations

import pytest

from policy.clocks import Skew, skew


@pytest.mark.parametrize(
    "ahead",
    [
        pytest.param({}, id="nobody told"),
        pytest.param({"a": 0.0, "b": -1.0}, id="they agree"),
        pytest.param({"a": 30.0, "b": -30.0}, id="half a minute"),
    ],
)
def test_clocks_that_agree_are_no_news(ahead: dict[str, float]) -> None:
    assert skew(ahead) is None


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        pytest.param(
            {"a": 61.0, "b": 60.0, "c": 0.0},
            "our clock is 60 s behind those of 2 processes",
            id="most differ from ours",
        ),
        pytest.param(
            {"a": -3_600.0, "b": -3_600.0},
            "our clock is 3,600 s ahead of those of 2 processes",
        ),
        pytest.param(
            {"a": 45.0, "b": 0.0, "c": 0.0}, "the clock of a is 45 s ahead of ours", id="one"
        ),
        pytest.param(
            {"d": -50.0, "a": -50.0, "b": 0.0, "c": 0.0, "e": 0.0},
            "the clocks of a, d are 50 s behind ours",
        ),
        pytest.param(
            {"a": 45.0, "b": -45.0},
            "the clocks of a, b differ from ours by up to 45 s",
            id="they differ in both directions",
        ),
    ],
)
def test_the_wrong_clock_is_named(ahead: dict[str, float], words: str) -> None:
    found = skew(ahead)

    assert found is not None
    assert found.words == words


def test_some_seconds_more_are_no_news_and_another_direction_is() -> None:
    first = Skew(ours=True, ahead={"a": 60})

    assert Skew(ours=True, ahead={"a": 61}).same_as(first)
    assert not Skew(ours=True, ahead={"a": -60}).same_as(first)
    assert not Skew(ours=True, ahead={"a": 60, "b": 60}).same_as(first)
    assert not first.same_as(None)
