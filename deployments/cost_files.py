"""Write a report of costs into a file of a kind that its ending names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Final

import polars as pl

from deployments.whole_file import refuse_other_kinds, write_whole


def _csv(rows: pl.DataFrame, stream: IO[bytes]) -> None:
    moments = [name for name, dtype in rows.schema.items() if isinstance(dtype, pl.Datetime)]
    rows.with_columns(pl.col(moments).dt.to_string("iso:strict")).write_csv(stream)


def _parquet(rows: pl.DataFrame, stream: IO[bytes]) -> None:
    rows.write_parquet(stream)


KINDS: Final[Mapping[str, Callable[[pl.DataFrame, IO[bytes]], None]]] = {
    ".csv": _csv,
    ".parquet": _parquet,
}


def write_costs(rows: pl.DataFrame, path: Path) -> None:
    """Put the rows in the place of the file, whole or not at all.

    Raises:
        ConfigError: the file cannot be written, or its ending names no kind.
    """
    refuse_other_kinds(path, kinds=KINDS)
    write = KINDS[path.suffix.lower()]
    write_whole(path, lambda stream: write(rows, stream))
