"""What the operator changed by hand at the places that are ours."""

from __future__ import annotations

import pytest

from policy.operators_file import Claims, claimed, edited
from tests.policy.operators_file.files import NOTHING, limits

BEFORE = "overrides:\n  a:\n    rate: 100\n    series: 9\n  b: {}\n"
OURS = limits(("a", "burst", 6.0), ("a", "rate", 5.0), ("b", "rate", 7.0), ("t", "rate", 8.0))
WITH_OURS, CLAIMS = edited(BEFORE, claims=NOTHING, wanted=OURS)


def changed(was: str, now: str, *, text: str = WITH_OURS) -> str:
    assert text.count(was) == 1
    return text.replace(was, now)


def test_what_stood_there_before_is_kept_by_place() -> None:
    assert (
        Claims(
            before={
                "a": {"burst": None, "rate": "100"},
                "b": {"rate": None},
                "t": {"rate": None},
            },
            tenants=frozenset({"t"}),
        )
        == CLAIMS
    )


def test_a_number_changed_by_hand_is_told_and_what_stood_before_us_comes_back() -> None:
    text = changed("rate: 5", "rate: 77")

    assert ("a", "rate", 77.0) in claimed(text, claims=CLAIMS).rows()
    assert edited(text, claims=CLAIMS, wanted=limits()) == (BEFORE, NOTHING)
    assert edited(text, claims=CLAIMS, wanted=OURS) == (WITH_OURS, CLAIMS)


@pytest.mark.parametrize("value", ['"77"', "0x10", "1_000", "7d", "true", "[1]", ".inf", "1e999"])
def test_what_is_no_plain_number_is_not_told_and_written_over(value: str) -> None:
    text = changed("burst: 6", f"burst: {value}")

    assert ("a", "burst") not in claimed(text, claims=CLAIMS).select("tenant", "limit").rows()
    assert edited(text, claims=CLAIMS, wanted=OURS) == (WITH_OURS, CLAIMS)
    assert edited(text, claims=CLAIMS, wanted=limits()) == (BEFORE, NOTHING)


def test_a_limit_removed_by_hand_is_forgotten() -> None:
    text = changed("    rate: 5\n", "")

    assert ("a", "rate") not in claimed(text, claims=CLAIMS).select("tenant", "limit").rows()
    left, claims = edited(text, claims=CLAIMS, wanted=limits())
    assert (left, claims) == (changed("    rate: 100\n", "", text=BEFORE), NOTHING)


def test_a_limit_removed_by_hand_and_wanted_again_leaves_nothing_behind() -> None:
    text = changed("    rate: 5\n", "")

    text, claims = edited(text, claims=CLAIMS, wanted=OURS)

    assert claims.before["a"] == {"burst": None, "rate": None}
    left, _ = edited(text, claims=claims, wanted=limits())
    assert left == changed("    rate: 100\n", "", text=BEFORE)


def test_a_tenant_removed_by_hand_is_forgotten_or_made_anew() -> None:
    text = changed("  a:\n    rate: 5\n    series: 9\n    burst: 6\n", "")

    assert edited(text, claims=CLAIMS, wanted=limits()) == ("overrides:\n  b: {}\n", NOTHING)
    _, claims = edited(text, claims=CLAIMS, wanted=OURS)
    assert claims.tenants == {"a", "t"}


def test_a_tenant_of_ours_with_a_limit_of_the_operators_stays() -> None:
    text = changed('  "t":\n', '  "t":\n    # mine\n    burst: 1\n')

    left, claims = edited(text, claims=CLAIMS, wanted=limits())

    assert left == BEFORE + '  "t":\n    # mine\n    burst: 1\n'
    assert claims == NOTHING


def test_a_comment_in_a_tenant_of_ours_stays() -> None:
    text = changed("    rate: 8\n", "    # mine\n    rate: 8  # yours\n")

    left, _ = edited(text, claims=CLAIMS, wanted=limits())

    assert left == BEFORE + "    # mine\n"


@pytest.mark.parametrize("value", ["", " {}", " null"])
def test_a_tenant_of_ours_that_was_emptied_by_hand_goes(value: str) -> None:
    text = changed('  "t":\n    rate: 8\n', f'  "t":{value}\n')

    assert edited(text, claims=CLAIMS, wanted=limits()) == (BEFORE, NOTHING)
    assert claimed(edited(text, claims=CLAIMS, wanted=OURS)[0], claims=CLAIMS).equals(OURS)


def test_a_tenant_that_became_an_alias_is_the_operators() -> None:
    text = changed(
        "  a:\n    rate: 5\n    series: 9\n    burst: 6\n", "  big: &big {rate: 1}\n  a: *big\n"
    )

    assert claimed(text, claims=CLAIMS)["tenant"].to_list() == ["b", "t"]
    left, claims = edited(text, claims=CLAIMS, wanted=limits())
    assert (left, claims) == ("overrides:\n  big: &big {rate: 1}\n  a: *big\n  b: {}\n", NOTHING)


def test_a_number_that_became_an_alias_is_told_and_what_stood_before_us_comes_back() -> None:
    text = changed(
        "rate: 5", "rate: *rate", text=changed("overrides:\n", "overrides:\n  x: {r: &rate 3}\n")
    )

    assert ("a", "rate", 3.0) in claimed(text, claims=CLAIMS).rows()
    left, _ = edited(text, claims=CLAIMS, wanted=limits())
    assert left == changed("overrides:\n", "overrides:\n  x: {r: &rate 3}\n", text=BEFORE)


def test_the_file_as_it_was_put_back_by_a_tool_has_lost_what_is_ours() -> None:
    """Such as a deployment of the chart; what stands there then is taken for the operator's."""
    assert claimed(BEFORE, claims=CLAIMS).rows() == [("a", "rate", 100.0)]
    assert edited(BEFORE, claims=CLAIMS, wanted=limits()) == (BEFORE, NOTHING)


def test_an_anchor_on_limits_of_ours_makes_them_the_operators() -> None:
    """Others use them now, so they stay beneath ours, and what is ours is ours alone."""
    text = changed('  "t":\n    rate: 8\n', '  "t": &t\n    rate: 8\n  u: *t\n')

    text, claims = edited(text, claims=CLAIMS, wanted=limits(("t", "rate", 9.0)))

    with_ours = '  "t":\n   <<: &t\n    rate: 8\n   rate: 9\n  u: *t\n'
    assert text == BEFORE + with_ours
    left, _ = edited(text, claims=claims, wanted=limits())
    assert left == BEFORE + '  "t": &t\n    rate: 8\n  u: *t\n'


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("  a:\n    <<: &x\n", "  a:\n    # note\n    <<: &x\n"),
        ("  a:\n    <<: &x\n", "  a:  # note\n    <<: &x\n"),
    ],
)
def test_a_comment_beside_a_merge_key_of_ours_keeps_the_key(was: str, now: str) -> None:
    before = "overrides:\n  a: &x\n      rate: 1\n  b: *x\n"
    text, claims = edited(before, claims=NOTHING, wanted=limits(("a", "rate", 5.0)))

    left, after = edited(changed(was, now, text=text), claims=claims, wanted=limits())

    assert left == changed("  a: &x\n", now, text=before)
    assert after == NOTHING


def test_a_limit_of_ours_among_the_operators_own_in_braces_goes_alone() -> None:
    text, claims = edited(
        "overrides:\n  a: {}\n", claims=NOTHING, wanted=limits(("a", "x", 1.0), ("a", "y", 2.0))
    )
    mixed = changed('"x": 1, "y": 2', 'p: 1,  # p\n "x": 1, q: 3, "y": 2,', text=text)

    left, _ = edited(mixed, claims=claims, wanted=limits())

    assert left == "overrides:\n  a: {p: 1,  # p\n q: 3,}\n"


def test_limits_of_ours_before_and_between_the_operators_own_in_braces_go_alone() -> None:
    text, claims = edited(
        "overrides:\n  a: {}\n", claims=NOTHING, wanted=limits(("a", "x", 1.0), ("a", "y", 2.0))
    )
    mixed = changed('"x": 1, "y": 2', '"x": 1, p: 1,  # p\n "y": 2', text=text)

    left, _ = edited(mixed, claims=claims, wanted=limits())

    assert left == "overrides:\n  a: {p: 1,  # p\n }\n"


@pytest.mark.parametrize(
    ("now", "left"),
    [
        ("overrides: {t: {rate: 5}}  # short\n", "{}  # short\n"),
        ("overrides: {t: {rate: 5}, u: {rate: 5}}\n", "overrides: {u: {rate: 5}}\n"),
        ("m: 1\noverrides: {t: {rate: 5}}\n", "m: 1\n"),
        ("overrides: {}\n", "overrides: {}\n"),
        ("{}\n", "{}\n"),
        ("", ""),
    ],
)
def test_overrides_of_ours_that_were_written_anew_go_where_nothing_else_is_in_them(
    now: str, left: str
) -> None:
    _, claims = edited("{}\n", claims=NOTHING, wanted=limits(("t", "rate", 5.0)))

    assert edited(now, claims=claims, wanted=limits()) == (left, NOTHING)
