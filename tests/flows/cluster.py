"""What a system larger than one process runs on: a PostgreSQL, a Dask scheduler, its workers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deployments.system import free_port

SECONDS = 60
OWNER = "prefect"


def until(what: str, met: Callable[[], bool], *, seconds: float = SECONDS) -> None:
    """Wait for what another process does; it cannot be awaited otherwise."""
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.1)


@contextmanager
def ending(
    process: subprocess.Popen[bytes], *, by: signal.Signals
) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.send_signal(by)
        process.wait(timeout=20)


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A server with an empty database; who asks is trusted."""

    programs: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql+asyncpg://{OWNER}@127.0.0.1:{self.port}/postgres"

    def ask(self, statement: str) -> str:
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", OWNER, "-d", "postgres"]
        asking = [str(self.programs / "psql"), *where, "-Atc", statement]
        return subprocess.run(asking, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def postgres(programs: Path) -> Iterator[Postgres]:
    """A PostgreSQL on the loopback; it does not run as root, so root becomes another one."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    how: dict[str, object] = {"cwd": folder, "stdout": subprocess.DEVNULL}
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        how |= {"user": "postgres", "group": "postgres", "extra_groups": []}
    data, port = str(folder / "data"), free_port()
    making = [str(programs / "initdb"), "--no-sync", "-A", "trust", "-U", OWNER, "-D", data]
    serving = [str(programs / "postgres"), "-D", data, "-h", "127.0.0.1", "-p", str(port)]
    quick = ["-c", "fsync=off", "-c", f"unix_socket_directories={folder}"]
    ready = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    try:
        subprocess.run(making, check=True, **how)  # type: ignore[call-overload]
        server = subprocess.Popen([*serving, *quick], stderr=subprocess.DEVNULL, **how)  # type: ignore[call-overload]
        with ending(server, by=signal.SIGINT):  # which waits for nobody
            until("PostgreSQL", lambda: subprocess.run(ready, check=False).returncode == 0)
            yield Postgres(programs=programs, port=port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class Dask:
    """A scheduler and its workers."""

    address: str
    workers: tuple[subprocess.Popen[bytes], ...]


@contextmanager
def dask(folder: Path, *, workers: int) -> Iterator[Dask]:
    """A scheduler and workers on the loopback, each a process, that have imported everything."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    program = [sys.executable, "-m", "dask"]
    each = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--preload", "tasks.collect"]
    scheduling = [*program, "scheduler", "--host", "127.0.0.1", "--port", str(port)]
    working = [*program, "worker", address, "--host", "127.0.0.1", *each]
    logs = [folder / "scheduler.log", *(folder / f"worker-{n}.log" for n in range(workers))]
    commands = [[*scheduling, "--no-dashboard"], *([working] * workers)]
    with _all_of(list(zip(commands, logs, strict=True))) as (_, *at_work):
        for log in logs[1:]:
            until("a Dask worker", lambda log=log: "Registered to" in log.read_text())  # type: ignore[misc]
        yield Dask(address=address, workers=tuple(at_work))


@contextmanager
def _all_of(commands: list[tuple[list[str], Path]]) -> Iterator[list[subprocess.Popen[bytes]]]:
    if not commands:
        yield []
        return
    (command, log), *others = commands
    with (
        log.open("wb") as out,
        ending(subprocess.Popen(command, stdout=out, stderr=out), by=signal.SIGKILL) as process,
        _all_of(others) as rest,
    ):
        yield [process, *rest]
