"""Text as SQL, for `storage.client.query`, which takes whole statements without parameters."""

from __future__ import annotations


def literal(text: str | None) -> str:
    """The text within quotes: nothing but the quote means anything there. None is null."""
    return "null" if text is None else f"'{text.replace(chr(39), chr(39) * 2)}'"
