"""The file of the audit: JSON lines, appended, and forced to the disk before they count.

Whoever dies while appending leaves a torn line at most. It counts for nothing, as its entry is
appended again: it is cut off, when it is one of ours.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Final

from policy.errors import ConfigError, OptimizerError, RetriableError

STDOUT: Final = Path("-")

_OURS: Final = b'{"timestamp": "'
_READABLE: Final = 0o640
_CHUNK: Final = 64 * 1024
_PASSING: Final = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EAGAIN, errno.EINTR)


def older(path: Path) -> Path:
    """Where the file goes when it is full; what was there before is forgotten."""
    return path.with_name(f"{path.name}.1")


@contextmanager
def appending(path: Path, lines: bytes, *, most_bytes: int) -> Iterator[None]:
    """Append whole lines, for good if the block ends well; else they are taken back.

    A file that they would fill above `most_bytes` is put aside first. On stdout nothing can be
    taken back.

    Raises:
        ConfigError: the file cannot be written, and retrying is useless.
        RetriableError: it cannot be written just now.
    """
    if path == STDOUT:
        sys.stdout.write(lines.decode())
        sys.stdout.flush()
        yield
        return
    with _errors_named(path):
        stream = _opened(path, making_room_for=len(lines), most_bytes=most_bytes)
    with stream:
        with _errors_named(path):
            start = stream.seek(0, os.SEEK_END)
            try:
                _to_disk(stream, lines)
            except OSError:
                stream.truncate(start)
                raise
        try:
            yield
        except BaseException:
            stream.truncate(start)
            raise


def _opened(path: Path, *, making_room_for: int, most_bytes: int) -> FileIO:
    target = path.resolve()
    if target.exists() and not target.is_file():
        raise ConfigError(
            f"auditLog.file {path} is no file; name a file in a folder of this process, or - for "
            "stdout"
        )
    size = target.stat().st_size if target.exists() else 0
    if size and size + making_room_for > most_bytes:
        target.replace(older(target))
    made = not target.exists()
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    # Not buffered: what could not be written must not be tried again when it is closed.
    stream = FileIO(os.open(target, flags, _READABLE), "r+")
    if made:
        _folder_to_disk(target.parent)
    else:
        _cut_torn_line(stream)
    return stream


def _cut_torn_line(stream: FileIO) -> None:
    """End the file with its last whole line; what is not ours is ended, not cut."""
    end = stream.seek(0, os.SEEK_END)
    start, tail = end, b""
    while start and b"\n" not in tail:
        start = max(0, start - _CHUNK)
        stream.seek(start)
        tail = stream.read(min(_CHUNK, end - start)) + tail
    torn = tail[tail.rfind(b"\n") + 1 :]
    if torn.startswith(_OURS) or (torn and _OURS.startswith(torn)):
        stream.truncate(end - len(torn))
    elif torn:
        stream.seek(0, os.SEEK_END)
        stream.write(b"\n")


def _to_disk(stream: FileIO, lines: bytes) -> None:
    left = memoryview(lines)
    while left:
        left = left[stream.write(left) :]
    os.fsync(stream.fileno())


def _folder_to_disk(folder: Path) -> None:
    """Without this, a power cut may take the name away."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _errors_named(path: Path) -> Iterator[None]:
    """Say what the system refused, and whether it may pass."""
    try:
        yield
    except OSError as error:
        raise _refusal(path, error) from error


def _refusal(path: Path, error: OSError) -> OptimizerError:
    reason = error.strerror or type(error).__name__
    if error.errno in _PASSING:
        return RetriableError(f"auditLog.file {path} cannot be written just now: {reason}")
    if isinstance(error, FileNotFoundError):
        return ConfigError(f"auditLog.file {path}: its folder does not exist; make it")
    return ConfigError(
        f"auditLog.file {path} cannot be written: {reason}; give this process the right to it, or "
        "name another file"
    )
