"""Text from outside on one line, cut, and without what is secret."""

from __future__ import annotations

import pytest

from policy.alerting.payload import key_of
from policy.alerting.words import cut, cut_bytes, cut_signs, excerpt, one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\n\tb  c", "a b c"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("ac\u200bme", "ac\ufffdme"),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("\ud800", "\ufffd"),
        ("  ", ""),
    ],
    ids=["breaks", "unicode breaks", "bidi", "zero-width", "escape", "half a character", "blank"],
)
def test_a_line_has_no_breaks_and_nothing_that_cannot_be_seen(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_what_is_cut_says_so_and_is_as_long_as_it_may_be() -> None:
    assert cut("abcde", 5) == "abcde"
    assert cut("abcdef", 5) == "abcd…"
    assert cut_bytes("日日日", 8) == "日…"


def test_no_sign_is_cut_through() -> None:
    assert cut_signs(["a", "&amp;", "b"], 7) == "a&amp;b"
    assert cut_signs(["a", "&amp;", "bc"], 7) == "a&amp;…"
    assert cut_signs(["a", "&amp;", "b"], 6) == "a…"


def test_an_excerpt_hides_the_longer_of_two_secrets_first() -> None:
    said = excerpt("at /hook/key\nwith key", secrets=["key", "/hook/key", ""])

    assert said == "at ******** with ********"


def test_a_secret_at_the_edge_of_an_excerpt_is_hidden_before_it_is_cut() -> None:
    assert "secr" not in excerpt("x" * 116 + "secret", secrets=["secret"])


def test_the_key_of_an_incident_is_itself_where_it_fits_and_ascii_and_apart_where_not() -> None:
    assert key_of("breaker:acme", most=12) == "breaker:acme"
    one, two = (key_of(f"breaker:{end}", most=30) for end in ("é", "ü"))
    assert one != two
    assert one.isascii()
    assert len(key_of("x" * 99, most=30)) == 30
