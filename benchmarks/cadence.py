"""What the fast loop costs: CPU per `protect` run in our process and in the Prefect server.

Beside it, in the same run, Prefect's own way: a Python process per flow run (`flow.serve`) of a
flow with as many tasks that do nothing. Prints medians, shares of one core, and how Prefect's
database grows. Takes about eight minutes; nothing here is a test.

    python benchmarks/cadence.py [--intervals 12] [--seconds 15]
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil

from deployments.prefect_server import prefect_environment

PREFECT_PORT, ENDPOINT_PORT = 4311, 8311
RETENTION_DAYS = 2  # PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD

SERVED = """
import sys
from prefect import flow, task
from prefect.artifacts import acreate_markdown_artifact

@task
async def nothing() -> None: ...

@flow
async def idle_flow() -> None:
    for _ in range(4):
        await nothing()
    await acreate_markdown_artifact("nothing", key="nothing")

if __name__ == "__main__":
    idle_flow.serve("idle", interval=float(sys.argv[1]))
"""


def cpu_seconds(process: psutil.Process, *, ended_children: bool = False) -> float:
    """User and system time so far; on request with that of its ended children."""
    times = process.cpu_times()
    own = times.user + times.system
    return own + (times.children_user + times.children_system if ended_children else 0.0)


def wait_for(url: str, *, seconds: float = 120) -> None:
    """Return once the address answers 200."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urlopen(url, timeout=2) as answer:
                if answer.status == HTTPStatus.OK:
                    return
        except (URLError, OSError):
            pass
        time.sleep(0.5)
    sys.exit(f"{url} did not answer 200 within {seconds:.0f} s")


@contextmanager
def started(
    command: list[str], *, folder: Path, environ: dict[str, str]
) -> Iterator[psutil.Process]:
    """A process that is ended with SIGINT when the block ends."""
    with (folder / "output.log").open("ab") as log:
        child = subprocess.Popen(
            command, cwd=folder, env=environ, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield psutil.Process(child.pid)
    finally:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()


def per_interval(
    processes: dict[str, psutil.Process], *, intervals: int, seconds: float
) -> dict[str, list[float]]:
    """CPU seconds of each process in each of so many intervals."""
    before = {name: cpu_seconds(process) for name, process in processes.items()}
    spent: dict[str, list[float]] = {name: [] for name in processes}
    for _ in range(intervals):
        time.sleep(seconds)
        for name, process in processes.items():
            now = cpu_seconds(process)
            spent[name].append(now - before[name])
            before[name] = now
    return spent


def child_with(parent: psutil.Process, words: str) -> psutil.Process:
    """The child process whose command line has the words."""
    return next(
        child for child in parent.children(recursive=True) if words in " ".join(child.cmdline())
    )


def database_bytes(path: Path) -> int:
    """Bytes in use, free pages excluded."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        pragmas = ("page_count", "freelist_count", "page_size")
        pages, free, size = (connection.execute(f"pragma {name}").fetchone()[0] for name in pragmas)
    return (pages - free) * size


def measured(
    folder: Path, environ: dict[str, str], *, protect: str, intervals: int, seconds: float
) -> tuple[dict[str, float], int]:
    """Median CPU seconds an interval of each process, and the growth of Prefect's database."""
    ports = {"MLO_PREFECT__PORT": str(PREFECT_PORT), "MLO_SERVER__PORT": str(ENDPOINT_PORT)}
    command = [str(Path(sys.executable).with_name("mlo")), "up", "--simulate"]
    plain = {name: value for name, value in environ.items() if not name.startswith("PREFECT_")}
    settings = plain | ports | {"MLO_PROTECT_INTERVAL": protect, "MLO_UPDATE_INTERVAL": "1h"}
    with started(command, folder=folder, environ=settings) as resident:
        wait_for(f"http://127.0.0.1:{ENDPOINT_PORT}/healthz")
        time.sleep(60)
        processes = {
            "resident process": resident,
            "Prefect server": child_with(resident, "prefect"),
            "simulator": child_with(resident, "simulator"),
        }
        database = folder / "data" / "prefect" / "prefect.db"
        bytes_before = database_bytes(database)
        spent = per_interval(processes, intervals=intervals, seconds=seconds)
        grown = database_bytes(database) - bytes_before
    return {name: statistics.median(values) for name, values in spent.items()}, grown


def ours(folder: Path, environ: dict[str, str], *, intervals: int, seconds: float) -> None:
    """Measure `mlo up --simulate` with runs and without, and print both."""
    how = {"intervals": intervals, "seconds": seconds}
    idle, _ = measured(folder, environ, protect="6h", **how)
    busy, grown = measured(folder, environ, protect=f"{seconds:.0f}s", **how)
    print(f"one protect run each {seconds:.0f} s, 20 tenants, medians of {intervals} intervals:")
    print(f"  {'CPU':<18} {'a run':>9} {'idle':>9} {'together':>9}  of a core")
    for name, median in busy.items():
        run = median - idle[name]
        cells = " ".join(f"{value * 1000:6.0f} ms" for value in (run, idle[name], median))
        print(f"  {name:<18} {cells}  {median / seconds:6.2%}")
    total = sum(busy.values())
    print(f"  {'the whole system':<18} {'':>19} {total * 1000:6.0f} ms  {total / seconds:6.2%}")
    kept_runs = 86_400 / seconds * RETENTION_DAYS
    print(
        f"  Prefect's database grows {grown / intervals / 1024:.0f} KiB a run; runs are kept "
        f"{RETENTION_DAYS} days: at most {grown / intervals * kept_runs / 1e6:,.0f} MB"
    )


def process_per_run(
    folder: Path, environ: dict[str, str], *, intervals: int, seconds: float
) -> None:
    """Measure Prefect's own runner on the same schedule and print it."""
    (folder / "served.py").write_text(SERVED, encoding="utf-8")
    server_command = [
        sys.executable, "-m", "prefect", "server", "start", "--port", str(PREFECT_PORT),
    ]  # fmt: skip
    with started(server_command, folder=folder, environ=environ):
        wait_for(f"http://127.0.0.1:{PREFECT_PORT}/api/health")
        command = [sys.executable, "served.py", str(seconds)]
        with started(command, folder=folder, environ=environ) as runner:
            time.sleep(30 + seconds)
            before = cpu_seconds(runner, ended_children=True)
            time.sleep(intervals * seconds)
            spent = (cpu_seconds(runner, ended_children=True) - before) / intervals
    print("Prefect's own process per run (flow.serve), four empty tasks and an artifact:")
    print(f"  {'runner and runs':<18} {spent * 1000:6.0f} ms CPU a run  {spent / seconds:6.2%}")


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--intervals", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=15.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ = prefect_environment(
            data_folder=folder / "data", port=PREFECT_PORT, environ=os.environ
        )
        how = {"intervals": options.intervals, "seconds": options.seconds}
        ours(folder, environ, **how)
        process_per_run(folder, environ, **how)


if __name__ == "__main__":
    main()
