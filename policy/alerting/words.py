"""Text from outside, made fit for a message: one line, nothing invisible, no longer than it may be.

Names of tenants and foreign answers are anybody's text: they hold line breaks, characters that turn
the direction of writing, halves of characters, a page where a word was expected.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final

from policy.alerting.alert import Message

CUT: Final = "…"
EXCERPT: Final = 120

# Controls, formats (bidirectional marks, zero-width characters), private use, halves, not assigned.
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})
_BREAKS: Final = frozenset({"Zl", "Zp"})


def one_line(text: str) -> str:
    """The text on one line: breaks and tabs are spaces, what cannot be seen is a sign for that."""
    shown = (
        " " if char.isspace() or unicodedata.category(char) in _BREAKS else _seen(char)
        for char in text
    )
    return " ".join("".join(shown).split())


def cut(text: str, most: int) -> str:
    """The text, or as much of it as `most` characters hold, and a sign that there was more."""
    return text if len(text) <= most else f"{text[: most - len(CUT)]}{CUT}"


def cut_bytes(text: str, most: int) -> str:
    """The same for `most` bytes of UTF-8; no character is cut through."""
    if len(text.encode()) <= most:
        return text
    held = text.encode()[: most - len(CUT.encode())].decode(errors="ignore")
    return f"{held}{CUT}"


def cut_signs(signs: Sequence[str], most: int, *, size: Callable[[str], int] = len) -> str:
    """The signs as one text, or as many whole ones as fit `most`, each with its own size."""
    sizes = list(accumulate(map(size, signs)))
    if not sizes or sizes[-1] <= most:
        return "".join(signs)
    return "".join(signs[: bisect_right(sizes, most - size(CUT))]) + CUT


def excerpt(text: str, *, secrets: Sequence[str] = ()) -> str:
    """What an error may repeat of a foreign answer: one short line without our secrets."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "********")
    return cut(one_line(text), EXCERPT)


def headline(message: Message) -> str:
    """`[P1] acme blasts: its breaker caps it (dry run)`."""
    alert = message.alert
    mark = "resolved" if message.state == "resolved" else message.priority
    run = " (dry run)" if alert.simulated else ""
    return f"[{mark}] {one_line(alert.title)}{run}"


def facts(message: Message) -> list[tuple[str, str]]:
    """What a message names beside its title and reason, in the order in which it is shown."""
    alert = message.alert
    known = [
        ("tenant", alert.tenant),
        ("team", message.team),
        ("cluster", message.cluster),
        ("component", alert.component),
        ("since", f"{message.opened_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("seen", f"{message.times} times" if message.times > 1 else None),
        *alert.evidence.items(),
    ]
    return [(one_line(name), one_line(value)) for name, value in known if value]


def _seen(char: str) -> str:
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in _INVISIBLE else char
