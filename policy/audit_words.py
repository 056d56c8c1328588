"""What an audit entry says, in one line for a person; a program reads the details themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from policy.figures import figure

LONGEST: Final = 300  # characters of one line; an error of somebody else's may be a page

# What stands for a value that is not there, before and after.
_NOTHING: Final[Mapping[str, tuple[str, str]]] = {
    "pin": ("not pinned", "not pinned"),
    "unpin": ("not pinned", "not pinned"),
    "settings_changed": ("not set", "not set"),
}
_UNKNOWN: Final = ("unknown", "nothing of ours")
_SUBJECTS: Final = ("limit", "key", "target")
_REASONS: Final = ("reason", "detail")


def told(action: str, details: Mapping[str, object]) -> str:
    """`ingestion_rate 10,000 → 13,000: peak and buffer`; of what is not known, each detail.

    Args:
        action: of the entry.
        details: of the entry, as they were parsed from JSON.
    """
    problems = details.get("problems")
    why = [str(details[key]) for key in _REASONS if details.get(key)]
    why += map(str, problems) if isinstance(problems, list) else []
    if more := details.get("more_problems"):
        why.append(f"and {more} more")
    what = _what(action, details)
    if not what and not why:
        what = ", ".join(f"{key}={_plain(value)}" for key, value in details.items())
    return _shortened(": ".join(filter(None, (what, "; ".join(why)))))


def _what(action: str, details: Mapping[str, object]) -> str:
    subject = next((str(details[key]) for key in _SUBJECTS if details.get(key)), "")
    if "before" in details and "after" in details:
        nothing = _NOTHING.get(action, _UNKNOWN)
        old, new = (
            _plain(details[key]) if details[key] is not None else absent
            for key, absent in zip(("before", "after"), nothing, strict=True)
        )
        return f"{subject} {old} → {new}{_until(details)}".strip()
    if action == "rollback":
        return f"to revision {details.get('revision')}{_until(details)}"
    limits = details.get("limits")
    if isinstance(limits, Mapping):
        return ", ".join(f"{limit} at {_plain(value)}" for limit, value in limits.items())
    if "entries" in details:
        return f"{_plain(details['entries'])} entries of {details.get('oldest')} and later"
    return subject


def _until(details: Mapping[str, object]) -> str:
    told = details.get("until")
    if not isinstance(told, str):
        return ""
    try:
        end = datetime.fromisoformat(told)
    except ValueError:
        return f", until {told}"
    return f", until {end.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if end.tzinfo else f", until {told}"


def _plain(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return figure(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
