"""Values as SQL, for `storage.client.query`, which takes whole statements without parameters."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

import polars as pl

from storage.engine import connect

ROWS_AT_ONCE: Final = 20_000
COLUMNS: Final = "select column_name, column_type from (describe from told)"
# What is within quotes, or a comment, is none.
_PARAMETERS: Final = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\$(?P<name>[A-Za-z_]\w*)|(?P<place>\?)"""
)
AS_TEXTS: Final = "select columns(*)::varchar from told"


def literal(text: str | None) -> str:
    """The text within quotes: nothing but the quote means anything there. None is null."""
    return "null" if text is None else f"'{text.replace(chr(39), chr(39) * 2)}'"


def with_parameters(sql: str, parameters: Sequence[object] | Mapping[str, object] | None) -> str:
    """The statement with its parameters, `?` or `$name`, in their places."""
    if not parameters:
        return sql
    named = parameters if isinstance(parameters, Mapping) else {}
    placed = iter(() if isinstance(parameters, Mapping) else parameters)

    def told(found: re.Match[str]) -> str:
        if found["name"]:
            return f"({value_as(named[found['name']])})"
        return f"({value_as(next(placed))})" if found["place"] else found[0]

    return _PARAMETERS.sub(told, sql)


def value_as(value: object) -> str:  # noqa: PLR0911 - one per type
    """One value, of the types that statements of ours are given.

    Raises:
        TypeError: it is of another type.
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return f"{value!r}::double" if math.isfinite(value) else f"'{value}'::double"
        case Decimal():
            return f"'{value:f}'::decimal(38, {-min(0, int(value.as_tuple().exponent))})"
        case str():
            return literal(value)
        case datetime():
            return f"'{value.isoformat()}'::timestamptz"
        case date():
            return f"'{value.isoformat()}'::date"
        case list() | tuple():
            return f"[{', '.join(value_as(each) for each in value)}]"
        case _:
            raise TypeError(f"a {type(value).__name__} has no words in SQL yet")


def frame_as(name: str, frame: pl.DataFrame) -> list[str]:
    """Statements that make a temporary table of the frame, with the types that DuckDB sees in it.

    Each value travels as DuckDB's own text of it, which keeps decimals, microseconds and infinity.
    """
    with connect(":memory:") as connection:
        connection.register("told", frame)
        columns = connection.execute(COLUMNS).fetchall()
        texts = connection.execute(AS_TEXTS).fetchall()
    listed = ", ".join(
        f'cells[{place}]::{kind} as "{column.replace(chr(34), chr(34) * 2)}"'
        for place, (column, kind) in enumerate(columns, start=1)
    )
    made = f'create or replace temp table "{name}" as'
    statements = []
    for first in range(0, max(1, len(texts)), ROWS_AT_ONCE):
        rows = literal(json.dumps(texts[first : first + ROWS_AT_ONCE], ensure_ascii=False))
        cells = f"""select unnest(from_json({rows}, '[["VARCHAR"]]')) as cells"""
        statements.append(f"{made} select {listed} from ({cells})")  # noqa: S608 - literals
        made = f'insert into "{name}"'
    return statements
