"""Noise that is a pure function of a seed and a time, so the past and the present agree."""

from __future__ import annotations

import zlib
from typing import Final

_MASK: Final = (1 << 64) - 1


def key_of(*, seed: int, name: str) -> int:
    """A number for a name, the same in every process (Python's own `hash` is not)."""
    return (seed * 0x9E3779B97F4A7C15 + zlib.crc32(name.encode())) & _MASK


def unit(key: int, index: int = 0) -> float:
    """A number in [0, 1) that looks random and is always the same for the same arguments."""
    mixed = (key + index * 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)


def smooth(key: int, *, at: float, period_seconds: float) -> float:
    """A curve in [-1, 1] that wanders without steps, a new direction every period."""
    index, rest = divmod(at / period_seconds, 1.0)
    left = unit(key, int(index))
    right = unit(key, int(index) + 1)
    return 2.0 * (left + (right - left) * rest) - 1.0
