"""Values as JSON and CSV know them: what a program reads of a frame, or of a tree."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import polars as pl


def plain(value: object) -> object:  # noqa: PLR0911 - one line per kind of value
    """The value as JSON knows it: ISO times, numbers as numbers, null where none is finite."""
    if value is None or isinstance(value, bool | int):
        return value
    match value:
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple() | pl.Series():
            return [plain(item) for item in value]
        case float() | Decimal():
            number = float(value)
            return number if math.isfinite(number) else None
        case datetime():
            return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes():
            return value.hex()
    return str(value)


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with numbers as they are and everything else as text; nested values as JSON."""
    return frame.with_columns(
        _as_text(frame[name]) for name, kind in frame.schema.items() if not kind.is_numeric()
    )


def _as_text(column: pl.Series) -> pl.Series:
    texts = [None if value is None else _text(plain(value)) for value in column]
    return pl.Series(column.name, texts, dtype=pl.String)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
