"""Settings as plain values that may be shown: secrets become asterisks.

What comes out is fit for YAML and JSON, and reads back as the same settings, but for secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from pydantic import ByteSize, SecretStr

from policy.settings.durations import format_duration
from policy.settings.section import Section, aliases

MASK: Final = "********"


def masked(section: Section) -> dict[str, object]:
    """The section's values by canonical key; a key without a value is left out."""
    values = {alias: getattr(section, name) for name, alias in aliases(type(section)).items()}
    return {alias: plain(value) for alias, value in values.items() if value is not None}


def plain(value: object) -> object:  # noqa: PLR0911 - one line per kind of value
    """One value that may be shown."""
    match value:
        case Section():
            return masked(value)
        case SecretStr():
            return MASK
        case timedelta():
            return format_duration(value)
        case Decimal():
            return format(value, "f")
        case ByteSize():
            return _size(value)
        case Path():
            return str(value)
        case date() | time():
            return value.isoformat()
        case tuple():
            return [plain(item) for item in value]
        case Mapping():
            return {key: plain(item) for key, item in value.items()}
    return value


def _size(size: ByteSize) -> str:
    """In the largest unit in which it is a whole number, so that it reads back as the same."""
    number, units = int(size), ["B", "KiB", "MiB", "GiB", "TiB"]
    while number % 1024 == 0 and number and units[1:]:
        number, units = number // 1024, units[1:]
    return f"{number}{units[0]}"
