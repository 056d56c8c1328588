"""What may be written and can never have an effect, and why.

Configurations of other controllers carry such settings. They are accepted, so that a file need
not be rewritten, and whoever sets one is told.
"""

from __future__ import annotations

from typing import Final

from policy.settings.root import Settings

_NOT_GO: Final = (
    "has no effect: it tunes the garbage collector of a program in Go, and this one is in Python"
)
_NOT_SPOKEN: Final = (
    "is not spoken by any metrics page of Mimir, Cortex or Prometheus; gzip is asked for instead"
)

NEVER: Final = {"performance.gc.enabled": _NOT_GO, "performance.gc.percent": _NOT_GO}
"""Why a key has no effect and never will, by key; they are in `pending.WITHOUT_EFFECT` too."""

UNSPOKEN: Final = {"lz4": _NOT_SPOKEN, "snappy": _NOT_SPOKEN}
"""Algorithms of `performance.compression.algorithm` that nobody speaks, and what is done."""


def values_in_vain(settings: Settings) -> list[str]:
    """One line for each value that was set and does nothing, though its key has an effect."""
    compression = settings.performance.in_force.compression
    why = UNSPOKEN.get(compression.algorithm)
    if not compression.enabled or why is None:
        return []
    return [f"performance.compression.algorithm: {compression.algorithm} {why}"]
