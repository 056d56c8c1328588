"""Keep a copy of a history from before its schema is brought up to date.

The copy is named by the schema that it has, `history.schema-26.duckdb`: a start that fails and is
tried again writes the same one anew, and never takes the place of an older one.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from storage.errors import StorageError
from storage.whole_copy import copy_whole, in_units

KEPT: Final = 2

_log = logging.getLogger(__name__)


def back_up(path: Path, *, schema: int) -> Path:
    """Copy a history that is closed; return where the copy is.

    Args:
        path: of the file, which this process owns.
        schema: the newest migration that was applied to it.

    Raises:
        StorageError: the copy cannot be written whole; the history stays as it is.
    """
    target = backup_of(path, schema=schema)
    try:
        copy_whole(path, target)
    except StorageError as refusal:
        raise StorageError(
            f"the history is not brought up to date, because no copy of it could be kept: {refusal}"
        ) from refusal
    size = in_units(target.stat().st_size)
    _log.warning(
        "the history has schema %s and is brought up to date; as it was, it is kept in %s (%s)",
        schema,
        target,
        size,
    )
    return target


def forget_old(path: Path) -> None:
    """Keep the newest copies only; to be called once the history is up to date."""
    found = path.parent.glob(f"{path.stem}.schema-*{path.suffix}")
    by_age = sorted(found, key=lambda copy: copy.stat().st_mtime_ns, reverse=True)
    for copy in by_age[KEPT:]:
        copy.unlink(missing_ok=True)


def backup_of(path: Path, *, schema: int) -> Path:
    """Where the copy of a history from before its schema went beyond `schema` is kept."""
    return path.with_name(f"{path.stem}.schema-{schema}{path.suffix}")
