"""Names that somebody chose, as text that shows all that is in it."""

from __future__ import annotations

import unicodedata
from typing import Final

_UNSEEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})  # controls, marks of direction, line ends


def visible(name: str) -> str:
    """The name, with the number of a character in place of one that cannot be seen."""
    return "".join(
        f"\\u{ord(each):04x}" if unicodedata.category(each) in _UNSEEN else each for each in name
    )
