"""What is not edited: what Mimir refuses, and what could not be edited without harm."""

from __future__ import annotations

import pytest

from policy.errors import ConfigError
from policy.operators_file import Claims, claimed, edited
from policy.operators_file.layout import read
from policy.operators_file.proof import proven
from policy.operators_file.splices import Splice
from tests.policy.operators_file.files import NEW_T, NOTHING, RATE_5, limits

OF_A = Claims(before={"a": {"rate": "1"}}, tenants=frozenset())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("overrides: [\n", "line 2: no YAML that Mimir reads: did not find expected node content"),
        ("overrides:\n\ta: {}\n", "line 2: no YAML that Mimir reads: found character that cannot"),
        ("m: 1\no: \x00\n", "line 2: no YAML that Mimir reads: control characters"),
        ("m: \ud800\n", "no YAML that Mimir reads: .*surrogates"),
        ("\ufeff\ufeffm: 1\n", "line 1: a second byte order mark at the start; remove it"),
        ("m: 1\n---\nm: 1\n", "line 2: a second document, .* keep one"),
        ("m: *x\n", r"line 1: \*x names no anchor that is complete before it; write the value"),
        ("m: &x\n  n: *x\n", r"line 2: \*x names no anchor that is complete before it"),
        ("m: &x 1\nn: &x\n  o: *x\n", r"line 3: \*x names no anchor that is complete before it"),
        ("m: 1\nm: 2\n", "line 2: 'm' appears twice, which Mimir refuses; remove one"),
        ("overrides:\n  a: {}\n  'a': {}\n", "line 3: 'a' appears twice"),
        ("overrides:\n  a:\n    x: 1\n    x: 1\n", "line 4: 'x' appears twice"),
        ("overrides: {}\nm:\n  {n: 1,\n  n: 1}\n", "line 4: 'n' appears twice"),
        ("overrides: {}\nm:\n  [p]: 1\n  [p]: 1\n", "line 4: a key appears twice"),
        ("- overrides\n", "line 1: the file must be a mapping with `overrides:` in it"),
        ("overrides\n", "line 1: the file must be a mapping"),
        ("m: 1\noverrides: 5\n", "line 2: 'overrides' must be a mapping of tenants"),
        ("overrides:\n- a\n", "line 2: 'overrides' must be a mapping of tenants"),
        ("m: &m {}\noverrides: *m\n", "line 2: 'overrides' is an alias, which is not edited"),
        ("overrides:\n  a: 5\n", "line 2: tenant 'a' must be a mapping of limits"),
        ("overrides:\n  a: !!null\n", "line 2: tenant 'a' must be a mapping of limits"),
        ("overrides:\n  a: &none\n", "line 2: tenant 'a' must be a mapping of limits"),
        ("overrides:\n  a:\n  - 5\n", "line 3: tenant 'a' must be a mapping of limits"),
        ("m: &m 5\noverrides:\n  a: *m\n", "line 3: tenant 'a' must be a mapping of limits"),
        ("overrides:\n  ? [a]\n  : {}\n", "line 2: a key must be a plain name"),
        ("overrides:\n  a: {}\n  <<: {b: {}}\n", "line 3: << among the tenants is not edited"),
        ("<<: {overrides: {}}\n", "line 1: << at the top of the file is not edited"),
        ("m: " + "[" * 70 + "]" * 70, "line 1: nested more than 64 deep; flatten it"),
    ],
)
def test_a_file_that_is_not_edited_is_named_with_its_line_and_the_way_out(
    text: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match="^" + problem):
        edited(text, claims=NOTHING, wanted=limits(NEW_T))
    with pytest.raises(ConfigError, match="^" + problem):
        claimed(text, claims=OF_A)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "overrides:\n  a:\n    rate: [1]\n",
            "line 3: rate is written as a list, .*; write it as a number",
        ),
        ("overrides:\n  a:\n    rate: |\n      1\n", "line 3: rate is written as .* block of text"),
        ("overrides:\n  ? a\n  :\n", "line 2: this entry cannot be edited; write it as `key: val"),
        (
            "overrides:\n  a: &x\n   rate: 1\n  b: *x\n",
            "line 2: others use the limits of tenant 'a' by an anchor, .*; indent them by two",
        ),
        ("overrides:\n  a: {<<: [5]}\n", "line 2: what << merges must be a mapping of limits"),
        ("m: &m [{}]\noverrides: {a: {<<: *m}}\n", "line 2: what << merges must be a mapping of"),
    ],
)
def test_an_entry_that_cannot_be_edited_is_named_with_its_line_and_the_way_out(
    text: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match="^" + problem):
        edited(text, claims=NOTHING, wanted=limits(RATE_5))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        # A key with a question mark tells a wrong column, so the new tenant ends in the last.
        ("overrides:\n  ? a\n  : x: 1\n", "line 2: the edit would change other limits .* 'a'"),
        # The merge key does not fit between a key and an anchor on the line below it.
        ("overrides:\n  t:\n   &x\n    x: 1\n  b: *x\n", "would break the file; as edited, line 5"),
        # A key in braces without a colon would take the number for a part of its name.
        ("overrides:\n  t: {rate}\n", "line 2: the edit would change other limits .* 't'"),
    ],
)
def test_what_the_edits_do_not_understand_is_found_by_reading_the_text_again(
    text: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        edited(text, claims=NOTHING, wanted=limits(NEW_T))


def test_limits_of_ours_that_others_use_by_now_are_not_taken_from_them() -> None:
    text = "overrides:\n  a: &x\n    rate: 5\n  b: *x\n"

    with pytest.raises(ConfigError, match=r"line 4: the edit would change other .* 'b'"):
        edited(text, claims=OF_A, wanted=limits())


@pytest.mark.parametrize(
    ("was", "now", "problem"),
    [
        ("1", "2", "line 3: the edit would change other limits than ours, at tenant 'a'"),
        ("b:", "c:", "line 4: the edit would change other limits than ours, at tenant 'b'"),
        ("  b: {}\n", "", "line 4: the edit would change other limits than ours, at tenant 'b'"),
        ("m: x", "m: y", "line 2: the edit would change more than 'overrides'"),
        ("m: x", "m: 'x'", "line 2: the edit would change more than 'overrides'"),
        ("m: x", "m: !!str x", "line 2: the edit would change more than 'overrides'"),
        ("m: x", "m: x\nn: 0", "line 2: the edit would change more than 'overrides'"),
        ("{}", "{", "the edit would break the file; as edited, line 5: no YAML"),
    ],
)
def test_an_edit_that_does_more_than_it_says_is_refused(was: str, now: str, problem: str) -> None:
    text = "m: x\noverrides:\n  a: {rate: 1}\n  b: {}\n"
    file, at = read(text), text.index(was)

    with pytest.raises(ConfigError, match=f"^{problem}.*; nothing is written; write the entry in"):
        proven(
            file,
            [Splice(at, at + len(was), now)],
            expected={"a": {"rate": "= 1"}, "b": {}},
            restored={},
        )


@pytest.mark.parametrize("text", ["2", "*none"])
def test_a_number_that_does_not_come_back_is_refused(text: str) -> None:
    file = read("overrides:\n  a: {rate: 1}\n")

    with pytest.raises(ConfigError, match="line 2: the edit would change other limits than ours"):
        proven(file, [], expected={"a": {}}, restored={"a": {"rate": text}})


def test_an_alias_that_cannot_come_back_is_refused() -> None:
    claims = Claims(before={"a": {"rate": "*gone"}}, tenants=frozenset())

    with pytest.raises(ConfigError, match=r"break the file; as edited, line 2: \*gone names no"):
        edited("overrides:\n  a: {rate: 1}\n", claims=claims, wanted=limits())
