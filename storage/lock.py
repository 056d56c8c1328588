"""The lock that makes one process the owner of a DuckDB file.

DuckDB locks the file too, but only once it has read it, and its error says nothing of
`mlo`. This lock is taken first, is given back by the kernel when the process dies, and
names its holder. It refuses a second owner at once rather than waiting.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

from storage.errors import StorageError


class OwnerLock:
    """An exclusive lock on `<file>.lock`, held until `release`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, path: Path) -> Self:
        """Take the lock beside the database file `path`, creating its folder.

        Raises:
            StorageError: another process holds it, or the folder cannot be written.
        """
        lock_path = path.with_name(f"{path.name}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as exc:
            raise StorageError(
                f"{lock_path} cannot be written: {exc.strerror}; "
                "make the folder writable or point storage.url elsewhere"
            ) from exc

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise in_use(path, holder) from exc

        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Give the lock back; the lock file stays, so that no two processes lock two files."""
        os.close(self._descriptor)


def in_use(path: Path, holder: str) -> StorageError:
    """The error of a second owner; `holder` is the process id of the first."""
    return StorageError(
        f"{path.name} is in use by process {holder} (mlo up?); "
        "stop it or use `mlo sql`, which asks the running process"
    )
