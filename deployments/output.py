"""Show a frame to a person or to a program: as a table, JSON, YAML, CSV or Markdown.

On a terminal a table fits its width and wraps only where a column may; anywhere else it is
plain, one row per line, so that grep works. Programs get numbers as numbers and times in ISO
format; what is not a finite number is null.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from io import StringIO
from typing import IO, Final

import polars as pl
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from ruamel.yaml import YAML

from deployments.plain import flat, plain
from policy.figures import grouped

UNKNOWN: Final = "unknown"

_GAP: Final = "  "
_LEAST_WRAPPED: Final = 24  # characters that a wrapping column needs to be readable
_ONE_LINE: Final = 1_000_000  # a width that no line of YAML reaches, so that none is folded


class Format(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"
    MARKDOWN = "markdown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table: the frame's column, its heading, and how it is shown.

    Attributes:
        missing: what stands for null.
        wraps: whether a terminal may break its text over several lines.
    """

    name: str
    heading: str
    missing: str = UNKNOWN
    wraps: bool = False


def show(
    frame: pl.DataFrame,
    *,
    form: Format,
    columns: Sequence[Column] | None = None,
    table: pl.DataFrame | None = None,
    console: Console | None = None,
) -> None:
    """Print the frame on stdout; a table without rows prints nothing, not even its headings.

    Args:
        frame: one row per line or object; programs get every column.
        form: the format.
        columns: of the table and of Markdown, in order; None shows all by their names.
        table: what the table and Markdown show instead, where a person needs other words.
        console: where to; None is stdout.
    """
    stream = sys.stdout if console is None else console.file
    shown = frame if table is None else table
    chosen = columns or [Column(name=name, heading=name, wraps=True) for name in shown.columns]
    match form:
        case Format.TABLE if shown.is_empty():
            return
        case Format.TABLE if console is not None or sys.stdout.isatty():
            screen = console or Console()
            screen.print(_on_screen(shown, chosen, width=screen.width))
        case Format.TABLE:
            _write(stream, _plain_lines(shown, chosen))
        case Format.MARKDOWN:
            _write(stream, _markdown_lines(shown, chosen))
        case Format.CSV:
            stream.write(flat(frame).write_csv())
        case Format.JSON | Format.YAML:
            show_data([plain(row) for row in frame.iter_rows(named=True)], form=form, stream=stream)


def show_data(data: object, *, form: Format, stream: IO[str] | None = None) -> None:
    """Print plain values (see `plain`) as JSON, or as YAML for every other format."""
    stream = stream or sys.stdout
    if form is Format.JSON:
        stream.write(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        return
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = _ONE_LINE
    text = StringIO()
    yaml.dump(data, text)
    stream.write(text.getvalue())


def _cells(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """Every cell as a person reads it, on one line and without control characters."""
    return flat(
        frame.select(
            _readable(frame.schema[column.name], column).alias(column.name) for column in columns
        )
    ).with_columns(
        pl.col(column.name).str.replace_all(r"[\x00-\x1f\x7f]+", " ").fill_null(column.missing)
        for column in columns
    )


def _readable(kind: pl.DataType, column: Column) -> pl.Expr:
    value = pl.col(column.name)
    if kind.is_numeric():
        number = grouped(value.cast(pl.Float64))
        return pl.when(value.is_null()).then(None).otherwise(number)
    if isinstance(kind, pl.Datetime):
        moment = value.dt.convert_time_zone("UTC") if kind.time_zone else value
        return moment.dt.to_string("%Y-%m-%d %H:%M:%S")
    return value


def _on_screen(frame: pl.DataFrame, columns: Sequence[Column], *, width: int) -> RenderableType:
    """A table that loses nothing, whatever the width.

    Where it is too narrow, a last column that wraps moves below its row; where even the rest
    does not fit, every column wraps. Columns that all wrap are columns of which nothing is
    known: each row then becomes a list of its own.
    """
    cells = _cells(frame, columns)
    narrow = [column for column in columns if not column.wraps]
    widest = sum(len(_GAP) + _width(column, cells[column.name]) for column in columns)
    if not narrow and len(columns) > 1 and widest > width:
        return _records(cells, columns)
    taken = sum(len(_GAP) + _width(column, cells[column.name]) for column in narrow)
    spare = (width - taken) / max(1, len(columns) - len(narrow))
    if len(narrow) == len(columns) - 1 and columns[-1].wraps and 0 <= spare < _LEAST_WRAPPED:
        return _stacked(frame, narrow, below=cells[columns[-1].name])
    fits = spare >= (_LEAST_WRAPPED if len(narrow) < len(columns) else 0)
    table = Table(box=None, padding=(0, len(_GAP), 0, 0), header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(
            column.heading,
            justify="right" if frame.schema[column.name].is_numeric() else "left",
            no_wrap=fits and not column.wraps,
            overflow="fold",
        )
    for row in cells.iter_rows():
        table.add_row(*map(Text, row))
    return table


def _stacked(frame: pl.DataFrame, columns: Sequence[Column], *, below: pl.Series) -> Group:
    head, *rows = _plain_lines(frame, columns)
    shown: list[RenderableType] = [Text(head, style="bold")]
    for row, text in zip(rows, below, strict=True):
        shown += [Text(row), Padding(Text(text, style="dim"), (0, 0, 0, 4))]
    return Group(*shown)


def _records(cells: pl.DataFrame, columns: Sequence[Column]) -> Group:
    shown: list[RenderableType] = []
    for row in cells.iter_rows():
        record = Table.grid(padding=(0, len(_GAP), 0, 0))
        for column, text in zip(columns, row, strict=True):
            record.add_row(Text(column.heading, style="bold"), Text(text, overflow="fold"))
        shown += [Text(""), record] if shown else [record]
    return Group(*shown)


def _plain_lines(frame: pl.DataFrame, columns: Sequence[Column]) -> list[str]:
    cells = _cells(frame, columns)
    padded = []
    for column in columns:
        texts = [column.heading, *cells[column.name]]
        width = _width(column, cells[column.name])
        right = frame.schema[column.name].is_numeric()
        padded.append([text.rjust(width) if right else text.ljust(width) for text in texts])
    return [_GAP.join(row).rstrip() for row in zip(*padded, strict=True)]


def _width(column: Column, texts: pl.Series) -> int:
    return max(len(column.heading), *map(len, texts), 0)


def _markdown_lines(frame: pl.DataFrame, columns: Sequence[Column]) -> list[str]:
    rules = ["---:" if frame.schema[column.name].is_numeric() else "---" for column in columns]
    rows = [[column.heading for column in columns], *_cells(frame, columns).iter_rows()]
    head, *body = (
        f"| {' | '.join(text.replace('|', chr(92) + '|') for text in row)} |" for row in rows
    )
    return [head, f"| {' | '.join(rules)} |", *body]


def _write(stream: IO[str], lines: Sequence[str]) -> None:
    stream.write("\n".join(lines) + "\n")
