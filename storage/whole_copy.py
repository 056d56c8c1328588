"""Put a copy of a database file where it belongs: whole and on the disk, or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pydantic import ByteSize

from storage.errors import StorageError


def copy_whole(source: Path, target: Path) -> None:
    """Copy a database file that nobody has open.

    Raises:
        StorageError: a part of it is in its write-ahead log still, there is no room, or it cannot
            be read or written; the target stays as it is.
    """
    log = log_of(source)
    if log.exists() and log.stat().st_size:
        raise StorageError(f"{log} could not be folded into {source.name}")
    refuse_too_full(target, needed_bytes=size_of(source))
    partial = partial_of(target)
    try:
        shutil.copyfile(source, partial)
        put_in_place(partial, target)
    except OSError as exc:
        partial.unlink(missing_ok=True)
        raise StorageError(f"{target} cannot be written: {exc.strerror or exc}") from exc


def put_in_place(partial: Path, target: Path) -> None:
    """Give a whole file its name, once all of it is on the disk.

    Raises:
        OSError: the disk refused.
    """
    to_the_disk(partial)
    partial.replace(target)
    to_the_disk(target.parent)


def to_the_disk(path: Path) -> None:
    """Wait until a file, or what a folder lists, would survive a loss of power.

    Raises:
        OSError: the disk refused.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_too_full(target: Path, *, needed_bytes: int) -> None:
    """Refuse a copy for which there is no room.

    Raises:
        StorageError: with what it takes and what is free, or there is no such folder.
    """
    try:
        free = shutil.disk_usage(target.parent).free
    except OSError as exc:
        raise StorageError(f"{target} cannot be written: {exc.strerror}") from exc
    if free < needed_bytes:
        raise StorageError(
            f"{target} cannot be written: it takes {in_units(needed_bytes)}, and "
            f"{in_units(free)} are free; free some space"
        )


def in_units(size_bytes: int) -> str:
    """`1.2 GiB`."""
    return ByteSize(size_bytes).human_readable(separator=" ")


def size_of(path: Path) -> int:
    """How many bytes a database takes, its write-ahead log included; 0 where there is none."""
    return sum(each.stat().st_size for each in (path, log_of(path)) if each.exists())


def log_of(path: Path) -> Path:
    """Where DuckDB keeps the write-ahead log of a database file."""
    return path.with_name(f"{path.name}.wal")


def partial_of(target: Path) -> Path:
    """Where a copy grows until it is whole; what a killed process left there is written over."""
    return target.with_name(f"{target.name}.tmp")
