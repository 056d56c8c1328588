"""Leave out of a metrics page what is of no use before its lines are looked at.

A family comes in one piece, and its `# TYPE` line says which it is: of a hundred thousand lines
most are left out by looking at a few hundred comments. A piece that does not begin and end with
what its comment says is kept, for those who look at lines.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

_TYPE: Final = "# TYPE "


def wanted_text(text: str, *, families: Collection[str]) -> str:
    """The text without its comments, and without the families that nobody wants.

    Args:
        text: a page of whole lines.
        families: full sample names that are wanted.

    Returns:
        Whole lines in their order; those of the wanted families are all there, with others.
    """
    return "".join(
        text[start:end]
        for name, start, end in _sections(text)
        if not _unwanted(text, name, start=start, end=end, families=families)
    )


def _sections(text: str) -> Iterator[tuple[str, int, int]]:
    """The lines between comments: the name in the comment before them, '' for none, start, end."""
    name, start = "", 0
    while (comment := _next_comment(text, start)) < len(text):
        if start < comment:
            yield name, start, comment
        start = text.find("\n", comment) + 1 or len(text)
        words = text[comment:start].split(" ", 3)
        name = words[2] if text.startswith(_TYPE, comment) and len(words) > 2 else ""  # noqa: PLR2004
    if start < len(text):
        yield name, start, len(text)


def _next_comment(text: str, start: int) -> int:
    """Where the next line that is a comment begins; the length of the text for none."""
    at = text.find("#", start)
    while at > 0 and text[at - 1] != "\n":
        at = text.find("#", at + 1)
    return at if at >= 0 else len(text)


def _unwanted(text: str, name: str, *, start: int, end: int, families: Collection[str]) -> bool:
    last = max(start, text.rfind("\n", start, end - 1) + 1)
    return (
        bool(name)
        and text.startswith(name, start)
        and text.startswith(name, last)
        and not any(family.startswith(name) for family in families)
    )
