"""What an audit entry is about, and the line that it is outside of the history.

One object per line, in the order in which a person reads it. Nothing is left out: what has no
value is null. A line is ASCII, so that whatever an entry holds neither ends its line nor speaks to
a terminal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal, get_args

Category = Literal["user", "system", "cost", "security", "performance"]

CATEGORIES: Final[tuple[Category, ...]] = get_args(Category)


def audit_line(entry: Mapping[str, object]) -> str:
    """The entry as one JSON object on one line, without the line's end.

    Args:
        entry: a row of AUDIT: `at` an aware time, `details` a JSON object as text.
    """
    return json.dumps(
        {
            "timestamp": timestamp(entry["at"]),
            "level": "INFO" if entry["success"] else "ERROR",
            "component": entry["component"],
            "action": entry["action"],
            "tenant": entry["tenant"],
            "details": json.loads(str(entry["details"])),
            "category": entry["category"],
            "actor": entry["actor"],
            "run_id": entry["run_id"],
            "success": entry["success"],
        }
    )


def timestamp(at: object) -> str:
    """`2026-11-23T12:00:00Z`, with the fraction of the second where there is one.

    Raises:
        TypeError: it is no time.
    """
    if not isinstance(at, datetime):
        raise TypeError(f"{at!r} is no time")
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
