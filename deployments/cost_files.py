"""Costs for other programs and for people: into a file of a kind that its ending names, or stdout.

What is written is the same either way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, Final

import polars as pl

from policy.errors import ConfigError
from tasks.whole_file import refuse_other_kinds, write_whole


def _csv(rows: pl.DataFrame, stream: IO[bytes]) -> None:
    moments = [name for name, dtype in rows.schema.items() if isinstance(dtype, pl.Datetime)]
    rows.with_columns(_iso(name) for name in moments).write_csv(stream)


def _iso(moment: str) -> pl.Expr:
    """Like 2026-11-01T00:00:00Z, or with the offset of its zone; a fraction where it has one."""
    text = pl.col(moment).dt.to_string("iso:strict")
    return text.str.replace(".000000", "", literal=True).str.replace(r"\+00:00$", "Z")


def _parquet(rows: pl.DataFrame, stream: IO[bytes]) -> None:
    rows.write_parquet(stream)


KINDS: Final[Mapping[str, Callable[[pl.DataFrame, IO[bytes]], None]]] = {
    ".csv": _csv,
    ".parquet": _parquet,
}
BINARY: Final = frozenset({".parquet"})


def write_costs(rows: pl.DataFrame, path: Path) -> None:
    """Put the rows in the place of the file, whole or not at all.

    Raises:
        ConfigError: the file cannot be written, or its ending names no kind.
    """
    refuse_other_kinds(path, kinds=KINDS)
    write = KINDS[path.suffix.lower()]
    write_whole(path, lambda stream: write(rows, stream))


def refuse_terminal(kind: str) -> None:
    """Refuse to show a person what only a program can read.

    Raises:
        ConfigError: the kind is binary, and stdout is a terminal.
    """
    if kind in BINARY and sys.stdout.isatty():
        raise ConfigError(
            f"{kind.removeprefix('.')} is not for a terminal; write it to a file with "
            f"--export costs{kind}, or send stdout elsewhere"
        )


def print_costs(rows: pl.DataFrame, kind: str) -> None:
    """Write the rows to stdout as a file of the kind would have them."""
    written = BytesIO()
    KINDS[kind](rows, written)
    sys.stdout.flush()
    sys.stdout.buffer.write(written.getvalue())
