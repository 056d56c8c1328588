"""A rehearsal as a person reads it."""

from __future__ import annotations

from datetime import timedelta

from policy.drill import UNIT_OF, Rehearsal
from policy.figures import figure


def clock(length: timedelta) -> str:
    """Minutes and seconds since the beginning, `5:15`."""
    minutes, seconds = divmod(round(length.total_seconds()), 60)
    return f"{minutes}:{seconds:02}"


def figures_of(found: Rehearsal) -> list[tuple[str, str]]:
    """What is asked of a rehearsal, each with its figure."""
    unit = UNIT_OF[found.kind]
    lowest = "unlimited or unknown" if found.lowest is None else f"{figure(found.lowest)}{unit}"
    return [
        ("fair share", f"{figure(found.fair_share)}{unit}"),
        ("detected after", _after(found.detected_after)),
        ("capped after", _after(found.capped_after)),
        ("lowest limit in force", lowest),
        ("admitted above the fair share", f"{figure(found.admitted_above)} {found.kind}"),
        ("refused", f"{figure(found.refused)} {found.kind}"),
        ("recovered after the blast", _after(found.recovered_after)),
    ]


def _after(length: timedelta | None) -> str:
    return "never" if length is None else f"{figure(length.total_seconds())} s"
