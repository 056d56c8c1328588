"""Child processes that never outlive us: ended in order at the end, by the kernel otherwise."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from policy.errors import OptimizerError

PR_SET_PDEATHSIG: Final = 1
LOOK_SECONDS: Final = 1.0


class ChildEnded(OptimizerError):  # noqa: N818 - what happened, not what is wrong with us
    """A process that we need is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A process of ours; `name` is what people call it, `log` holds its output."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise when it has ended.

        Raises:
            ChildEnded: with its exit code and where its last words are.
        """
        code = self.process.poll()
        if code is not None:
            raise ChildEnded(
                f"{self.name} ended with code {code}; its last words are in {self.log}"
            )


def _end_with_parent() -> None:
    """Ask Linux to end this process when its parent dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start_child(
    name: str, command: Sequence[str], *, log: Path, environ: Mapping[str, str]
) -> Child:
    """Start a process of its own session, so that Ctrl-C reaches only us and we end it in order."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - the command is ours, not the operator's
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environ),
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - runs before any thread of ours starts
        )
    return Child(name=name, process=process, log=log)


async def watch(children: Sequence[Child]) -> None:
    """Never return while all of them live.

    Raises:
        ChildEnded: one ended.
    """
    while True:
        for child in children:
            child.check()
        await asyncio.sleep(LOOK_SECONDS)


def end_children(children: Sequence[Child], *, timeout_seconds: float) -> None:
    """Ask all to end at once, wait, and kill what is still there after the time."""
    for child in children:
        child.process.terminate()
    for child in children:
        try:
            child.process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
