"""A runtime file on a local disk, replaced atomically.

Readers see the old file or the new one, never a part: Mimir takes a half-written file for
fewer overrides. Of writers of this kind one at a time holds the lock beside the file; a change
by anyone else is seen by its content. A symbolic link stays, what it points at is replaced.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from policy.document import digest
from policy.errors import ConfigError, Conflict, RetriableError
from tasks.sinks.base import Published

ABSENT: Final = "absent"

_ARRIVES_WITHIN: Final = timedelta(seconds=90)
_READABLE: Final = 0o644  # Mimir runs as another user and must read it
_PASSING: Final = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EAGAIN, errno.EINTR)


class FileSink:
    """One file; its version is the SHA-256 of its content, or "absent"."""

    def __init__(self, path: Path, *, name: str | None = None) -> None:
        """A sink over `path`; `name` is what people call it, where that is not the path."""
        self._path = path
        self._name = name or f"the file {path}"

    @property
    def arrives_within(self) -> timedelta:
        """Mimir looks every 10 s; a minute and a half leaves it time to be slow."""
        return _ARRIVES_WITHIN

    def describe(self) -> str:
        """The path that is written, or its name."""
        return self._name

    def read(self) -> Published:
        """The content now; `document` is None where there is no file.

        Raises:
            ConfigError: the path is a folder, its folder is missing, or it may not be read.
            RetriableError: the disk does not answer just now.
        """
        target = self._target()
        with _errors_named(target, doing="read"):
            try:
                document = target.read_bytes()
            except FileNotFoundError:
                return Published(document=None, version=ABSENT)
        return Published(document=document, version=digest(document))

    def write(self, document: bytes, *, if_version: str) -> str:
        """Replace the content if it still is `if_version`, and give the new version.

        Raises:
            Conflict: the content is another one.
            ConfigError: the path is a folder, its folder is missing, or it may not be written.
            RetriableError: the disk is full, or does not answer just now.
        """
        target = self._target()
        with _errors_named(target, doing="write"), _turn(target):
            found = self.read().version
            if found != if_version:
                raise Conflict(
                    f"{self.describe()} was changed by someone else (expected {if_version[:12]}, "
                    f"found {found[:12]}); read it again and decide again"
                )
            _replace(target, document)
        return digest(document)

    def _target(self) -> Path:
        """The file behind the path, links followed."""
        try:
            target = self._path.resolve()
        except RuntimeError as error:
            raise ConfigError(
                f"{self._path} is a link that ends nowhere; name another path for the runtime file"
            ) from error
        if target.is_dir():
            raise ConfigError(f"{target} is a folder; name the runtime file in it")
        if not target.parent.is_dir():
            raise ConfigError(
                f"the folder {target.parent} does not exist; create it, or name another path for "
                "the runtime file"
            )
        return target


def _replace(target: Path, document: bytes) -> None:
    """Write beside the file, force it to disk, and move it over in one step."""
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        mode = _READABLE

    # The same folder, because a move is atomic only within one file system.
    with NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as fresh:
        temporary = Path(fresh.name)
        try:
            fresh.write(document)
            fresh.flush()
            os.fchmod(fresh.fileno(), mode)
            os.fsync(fresh.fileno())
            temporary.replace(target)
        except BaseException:
            with suppress(FileNotFoundError):
                temporary.unlink()
            raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Without this, a power cut may bring the old name back."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _turn(target: Path) -> Iterator[None]:
    """Keep other writers of this file out; the lock ends with the process that holds it.

    Nobody waits: whoever finds it taken would find another version anyway.

    The lock is a file of its own: a lock on the file itself would be replaced with it.
    """
    lock = target.with_name(f".{target.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(
                f"another process is writing {target} (it holds {lock.name}); read it again and "
                "decide again"
            ) from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _errors_named(path: Path, *, doing: str) -> Iterator[None]:
    """Say what the system refused, and whether it may pass."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        if error.errno in _PASSING:
            raise RetriableError(f"cannot {doing} {path} just now: {reason}") from error
        raise ConfigError(
            f"cannot {doing} {path}: {reason}; give this process the right to that folder, or "
            "name another path for the runtime file"
        ) from error
