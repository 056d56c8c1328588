"""Write audit entries into a file of a kind that its ending names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Final

import polars as pl

from policy.audit import audit_line
from policy.errors import ConfigError


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


def refuse_other_kinds(path: Path) -> None:
    """Refuse an ending that names no kind.

    Raises:
        ConfigError: it does not.
    """
    if path.suffix.lower() not in KINDS:
        raise ConfigError(
            f"{path}: the ending names the kind of file; let it be {', '.join(KINDS)}"
        )


def write_entries(entries: pl.DataFrame, path: Path) -> None:
    """Put the entries (AUDIT) in the place of the file, whole or not at all, readable by us alone.

    Raises:
        ConfigError: the file cannot be written, or its ending names no kind.
    """
    refuse_other_kinds(path)
    temporary: Path | None = None
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
            temporary = Path(stream.name)
            KINDS[path.suffix.lower()](entries, stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror or type(error).__name__}"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
