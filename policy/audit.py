"""What an audit entry is about, and the line that it is outside of the history.

One object per line, in the order in which a person reads it. Nothing is left out: what has no
value is null. A line is ASCII, so that whatever an entry holds neither ends its line nor speaks to
a terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal, get_args

Category = Literal["user", "system", "cost", "security", "performance"]

SUPERSEDED: Final = "superseded before every process had reported it"
"""Said of a document that another one replaced before it was settled; nothing is wrong with it."""

CATEGORIES: Final[tuple[Category, ...]] = get_args(Category)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One thing that was done.

    Attributes:
        tenant: None: it concerned no single tenant.
        logged: whether it goes into the audit log; what it raises an alert of, it does anyway.
    """

    at: datetime
    category: Category
    component: str
    action: str
    actor: str
    success: bool
    details: Mapping[str, object]
    tenant: str | None = None
    run_id: str | None = None
    logged: bool = True


def logged(entries: Iterable[AuditEntry], *, on: bool) -> list[AuditEntry]:
    """The entries, for the audit log where it is on; else only for the alerts that they raise."""
    return list(entries) if on else [replace(entry, logged=False) for entry in entries]


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
