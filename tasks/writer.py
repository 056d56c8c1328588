"""One writer at a time: who may write to a sink now.

In Kubernetes a Lease says so, elsewhere a lock on a file. Both are kept from run to run and given
back when the process ends. A process that is not the writer looks, decides and tells as before,
and stands by to take over.
"""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from policy.errors import ConfigError, OptimizerError


class NotTheWriter(OptimizerError):  # noqa: N818 - what we are
    """Somebody else writes there; nothing may be written by us now."""


class Writer(Protocol):
    """The right to write to one place."""

    def hold(self, *, at_least: int = 0) -> int:
        """Make sure that we are the writer, now.

        Args:
            at_least: an epoch that was seen at the place and must not be above ours.

        Returns:
            Our epoch: it grows with every change of the writer. 0 where there are none.

        Raises:
            NotTheWriter: somebody else is.
            ConfigError: it cannot be found out, and retrying is useless.
            RetriableError: it cannot be found out just now.
        """

    def release(self) -> None:
        """Give the right back, so that nobody has to wait for it to expire."""


class LockedFile:
    """A writer by a lock on a file; the kernel gives it back when the process dies."""

    def __init__(self, path: Path) -> None:
        """A lock on `path`, which is made; nothing is taken yet."""
        self._path = path
        self._descriptor: int | None = None

    def hold(self, *, at_least: int = 0) -> int:  # noqa: ARG002 - a lock has no epochs
        """Take the lock, or keep it.

        Raises:
            NotTheWriter: another process holds it.
            ConfigError: the file cannot be made.
        """
        if self._descriptor is not None and not _is_at(self._path, self._descriptor):
            self.release()  # somebody removed the file: others would lock another one
        if self._descriptor is None:
            self._descriptor = _locked(self._path)
        return 0

    def release(self) -> None:
        """Give the lock back; its file stays, so that no two processes lock two files."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    ours = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _locked(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"the lock {path} cannot be made: {error.strerror}; give this process the right to "
            "that folder"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise NotTheWriter(
            f"{holder or 'another process'} writes there and holds {path}: this one stands by; "
            "end one of the two, or give each a place of its own"
        ) from error
    with suppress(OSError):  # on a full disk the lock holds without a name in it
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
    return descriptor
