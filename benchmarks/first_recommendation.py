"""How long it takes from a clone to the first recommendation, with the two commands of the README.

    python benchmarks/first_recommendation.py

What is committed here is cloned into an empty folder, with an empty home and no more of the
environment than where programs are and how the network is reached, so nothing is installed or
cached that a new machine would lack. Ends with code 1 where it took longer than it may.

Only the standard library is used: there is nothing else on such a machine.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[1]
MOST_SECONDS = 180.0
PATIENCE_SECONDS = 600.0
END_SECONDS = 60.0
UP = "Mimir Limit Optimizer is up."
RECOMMENDED = "optimize: recommendation: "
# How a package index is reached from here is no part of the measurement.
PASSED_ON = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_")


class Missed(Exception):  # noqa: N818 - named for what happened
    """The first recommendation did not come; says what was seen last."""


def environment(home: Path) -> dict[str, str]:
    """Of a user who has nothing; with ports that are free, to be measured beside a running one."""
    passed = {
        name: value for name, value in os.environ.items() if name.upper().startswith(PASSED_ON)
    }
    return {
        **passed,
        "HOME": str(home),
        "PATH": f"{Path(sys.base_prefix) / 'bin'}:/usr/bin:/bin",
        "PYTHONUNBUFFERED": "1",  # a line is there when it is said, as in a terminal
        "MLO_SERVER__PORT": str(free_port()),
        "MLO_PREFECT__PORT": str(free_port()),
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def lines(stream: IO[bytes], *, until: float) -> Iterator[str]:
    """The lines of a stream as they come, up to a moment of the monotonic clock."""
    held = b""
    while (left := until - time.monotonic()) > 0:
        if not select.select([stream], [], [], left)[0]:
            return
        read = os.read(stream.fileno(), 65_536)
        if not read:
            return
        *whole, held = (held + read).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)


def when_seen(stream: IO[bytes], *, until: float) -> tuple[float, float]:
    """Moments of the monotonic clock: it is up, and the first recommendation is there.

    Raises:
        Missed: it ended, or its time was over.
    """
    up, last = None, "nothing"
    for line in lines(stream, until=until):
        now, last = time.monotonic(), line or last
        if up is None and line.startswith(UP):
            up = now
        if up is not None and RECOMMENDED in line:
            print(f"  {line}")
            return up, now
    raise Missed(f"no recommendation; the last line was: {last}")


def measured(folder: Path) -> dict[str, float]:
    """The seconds of each part.

    Raises:
        Missed: see `when_seen`.
    """
    checkout, home = folder / "mimir-limit-optimizer", folder / "home"
    home.mkdir()
    environ = environment(home)
    began, began_at = time.monotonic(), time.time()
    subprocess.run(
        ["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(checkout)],
        check=True,
        env=environ,
    )
    cloned = time.monotonic()
    with subprocess.Popen(
        ["make", "run"],
        cwd=checkout,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as running:
        assert running.stdout is not None
        try:
            up, recommended = when_seen(running.stdout, until=began + PATIENCE_SECONDS)
        finally:
            end(running)
    installed = began + (checkout / ".venv" / ".run").stat().st_mtime - began_at
    return {
        "git clone": cloned - began,
        "make run: installed": installed - cloned,
        "make run: up": up - installed,
        "make run: first recommendation": recommended - up,
        "together": recommended - began,
    }


def end(running: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does in a terminal: to all that `make run` has started."""
    try:
        os.killpg(running.pid, signal.SIGINT)
        # What it says on the way out must not fill the pipe.
        running.communicate(timeout=END_SECONDS)
    except ProcessLookupError:
        return
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        try:
            seconds = measured(Path(folder))
        except Missed as missed:
            print(missed, file=sys.stderr)
            return 1
    for part, took in seconds.items():
        print(f"{part:32}{took:7.1f} s")
    if seconds["together"] > MOST_SECONDS:
        print(f"that is more than {MOST_SECONDS:.0f} s", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
