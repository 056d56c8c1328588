"""Run the simulated Mimir as a process of its own: `python -m simulator --runtime-config PATH`.

It ends on SIGTERM, on SIGINT, and within a second of the process it was told to watch.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from simulator.cluster import Cluster, Plan
from simulator.errors import SimulatorError
from simulator.server import running
from simulator.sizes import HEADROOM
from simulator.tenants import roster

_TICK_SECONDS = 1.0


class _Stopped(Exception):  # noqa: N818 - a signal's word, not an error
    """We were asked to end."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until asked to stop; 0 when that was orderly, 1 when it could not start."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    with suppress(_Stopped):
        try:
            _serve(options)
        except SimulatorError as exc:
            sys.stderr.write(f"simulator: {exc}\n")
            return 1
    return 0


def _serve(options: argparse.Namespace) -> None:
    """Listen, say where, and live on every second until the watched parent is gone."""
    wanted = _watch(options.parent_pid)
    files = [options.base_runtime_config, options.runtime_config]
    plan = Plan(
        tenants=roster(options.tenants, seed=options.seed),
        runtime_files=[path for path in files if path is not None],
        seed=options.seed,
        distributors=options.distributors,
        ingesters=options.ingesters,
        reload_period_seconds=options.reload_period,
        blast_after_seconds=options.blast_after,
        headroom=options.headroom,
    )
    cluster = Cluster(plan, clock=_clock(options.speed))
    with running(cluster, port=options.port) as server:
        sys.stdout.write(f"simulator: {options.tenants} tenants on {server.url}\n")
        sys.stdout.flush()
        while wanted():
            time.sleep(_TICK_SECONDS)
            server.tick()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator", description="A Mimir to practise on."
    )
    parser.add_argument("--runtime-config", type=Path, required=True, help="merged last")
    parser.add_argument("--base-runtime-config", type=Path, help="the operator's own, merged first")
    parser.add_argument("--port", type=int, default=9009, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--tenants", type=_positive(int), default=20)
    parser.add_argument("--distributors", type=_positive(int), default=2)
    parser.add_argument("--ingesters", type=_positive(int), default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reload-period", type=_positive(float), default=10.0, metavar="SECONDS")
    parser.add_argument("--blast-after", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument(
        "--headroom",
        type=_positive(float),
        default=HEADROOM,
        metavar="TIMES",
        help="how many times the usual load fits into the processes",
    )
    parser.add_argument("--speed", type=_positive(float), default=1.0, help="seconds per second")
    parser.add_argument("--parent-pid", type=int, help="end when this process is gone")
    return parser


def _positive(kind: type[int | float]) -> Callable[[str], float]:
    """A reader of numbers above 0, for argparse."""

    def read(text: str) -> float:
        number = kind(text)
        if number <= 0:
            raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
        return number

    return read


def _clock(speed: float) -> Callable[[], float]:
    """The wall clock, running `speed` times as fast from now on."""
    origin, started = time.time(), time.monotonic()
    return lambda: origin + (time.monotonic() - started) * speed


def _watch(pid: int | None) -> Callable[[], bool]:
    """A question to ask every second: is the process still there?"""
    if pid is None:
        return lambda: True
    if pid == os.getppid():
        # A parent that died unnoticed keeps its number as a zombie, but no longer its children.
        return lambda: os.getppid() == pid
    return lambda: _exists(pid)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _stop(_number: int, _frame: object) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise _Stopped


if __name__ == "__main__":
    raise SystemExit(main())
