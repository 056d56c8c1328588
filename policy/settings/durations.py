"""Durations as an operator writes them: `15s`, `5m`, `1h30m`, `48h`.

The spelling is Go's, which Mimir and Prometheus share, with `d` and `w` beside it. A number
without a unit is refused: nobody can tell whether `15` is seconds or minutes.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Final

_UNITS_MICROSECONDS: Final = {
    "w": 604_800_000_000,
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "us": 1,
}
_WRITTEN: Final = ("h", "m", "s", "ms", "us")  # Go writes no days, so 48h stays 48h
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(us|ms|[wdhms])")
_WHOLE: Final = re.compile(rf"(?:{_PART.pattern})+")
_LONGEST: Final = timedelta(days=36_500)


def parse_duration(text: str) -> timedelta:
    """The length of time that the text names, zero or more.

    Raises:
        ValueError: the text is no duration, or longer than a hundred years.
    """
    written = text.strip()
    if re.fullmatch(r"-?\d+(\.\d+)?", written) and written != "0":
        raise ValueError(f"{written} has no unit; write it like {written.lstrip('-')}s")
    if written == "0":
        return timedelta(0)
    if not _WHOLE.fullmatch(written):
        raise ValueError(f"{written!r} is not a duration; write it like 15s, 5m or 1h30m")

    microseconds = sum(
        Decimal(number) * _UNITS_MICROSECONDS[unit] for number, unit in _PART.findall(written)
    )
    if microseconds > _LONGEST // timedelta(microseconds=1):
        raise ValueError(f"{written} is longer than a hundred years")
    return timedelta(microseconds=int(microseconds))


def format_duration(length: timedelta) -> str:
    """The text that `parse_duration` reads back as the same length, like `1h30m`.

    Raises:
        ValueError: the length is below zero.
    """
    left = length // timedelta(microseconds=1)
    if left < 0:
        raise ValueError("a duration below zero has no spelling")

    parts = []
    for unit in _WRITTEN:
        count, left = divmod(left, _UNITS_MICROSECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
