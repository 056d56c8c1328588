"""Child processes that never outlive us: ended in order at the end, by the kernel otherwise."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def _end_with_parent() -> None:
    """Ask Linux to end this process when its parent dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start_child(
    command: Sequence[str], *, log: Path, environ: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a process of its own session, so that Ctrl-C reaches only us and we end it in order."""
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - the command is ours, not the operator's
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environ),
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - runs before any thread of ours starts
        )


def end_children(children: Sequence[subprocess.Popen[bytes]], *, timeout_seconds: float) -> None:
    """Ask all to end at once, wait, and kill what is still there after the time."""
    for child in children:
        child.terminate()
    for child in children:
        try:
            child.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
