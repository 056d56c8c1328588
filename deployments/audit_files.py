"""Write audit entries into a file of a kind that its ending names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Final

import polars as pl

from policy.audit import audit_line
from tasks.whole_file import refuse_other_kinds, write_whole


def _jsonl(entries: pl.DataFrame, stream: IO[bytes]) -> None:
    for entry in entries.iter_rows(named=True):
        stream.write(f"{audit_line(entry)}\n".encode())


def _csv(entries: pl.DataFrame, stream: IO[bytes]) -> None:
    at = pl.col("at").dt.to_string("iso:strict")
    entries.with_columns(at).write_csv(stream)


def _parquet(entries: pl.DataFrame, stream: IO[bytes]) -> None:
    entries.write_parquet(stream)


KINDS: Final[Mapping[str, Callable[[pl.DataFrame, IO[bytes]], None]]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}


def write_entries(entries: pl.DataFrame, path: Path) -> None:
    """Put the entries (AUDIT) in the place of the file, whole or not at all, readable by us alone.

    Raises:
        ConfigError: the file cannot be written, or its ending names no kind.
    """
    refuse_other_kinds(path, kinds=KINDS)
    write = KINDS[path.suffix.lower()]
    write_whole(path, lambda stream: write(entries, stream))
