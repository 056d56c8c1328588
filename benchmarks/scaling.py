"""What a look costs in one process, and with one and two Dask workers beside it.

    python -m benchmarks.scaling [TENANTS ...]

The 20 pods of benchmarks.cycle answer over loopback HTTP. A flow run with a Prefect server of its
own looks at them nine times: the first look has every page to take apart, the others read pages
that are known, as most looks do; of those the median is told. CPU is of one look: of the process
that runs the flow, and of all workers together. The pods are served by a process that uses some,
too: on two cores, two workers and the process of the flow share what is left.
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # as `mlo` does

import psutil

from benchmarks.cadence import cpu_seconds, started, wait_for
from benchmarks.cycle import pods_at
from deployments.prefect_server import prefect_environment

SIZES = (2_000, 10_000)
LOOKS = 9
WORKERS = (0, 1, 2)
READY_SECONDS = 60
PYTHON = [sys.executable, "-m"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def prefect_server(folder: Path) -> Iterator[dict[str, str]]:
    """A server as `mlo up` starts it; gives the environment of its clients."""
    port = free_port()
    environ = prefect_environment(data_folder=folder, port=port, environ=dict(os.environ))
    environ.pop("PREFECT_RESULTS_DEFAULT_STORAGE_BLOCK")  # made by `mlo up` alone
    command = [*PYTHON, "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with started(command, folder=folder, environ=environ):
        wait_for(f"{environ['PREFECT_API_URL']}/health")
        yield environ


@contextmanager
def dask(folder: Path, *, workers: int, environ: dict[str, str]) -> Iterator[tuple[str, list[int]]]:
    """A scheduler with so many workers, each a process of one thread; its address, their ids."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    scheduling = ["scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    working = ["worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    commands = [scheduling, *[[*working, "--preload", "tasks.collect"]] * workers]
    folder.mkdir()
    with ExitStack() as stack:
        _, *ids = [
            stack.enter_context(
                started([*PYTHON, "dask", *words], folder=folder, environ=environ)
            ).pid
            for words in commands
        ]
        deadline = time.monotonic() + READY_SECONDS
        while (folder / "output.log").read_text().count("Registered to") < workers:
            if time.monotonic() > deadline:
                sys.exit(f"the Dask workers are not ready after {READY_SECONDS} s")
            time.sleep(0.2)
        yield address, ids


def measure(tenants: int, *, port: int, address: str | None, workers: Sequence[int]) -> None:
    """A flow run of some looks; prints one line, and the median of a look for the ratio."""
    from prefect import flow  # noqa: PLC0415 - reads its settings now

    from policy.settings import parse_settings  # noqa: PLC0415
    from policy.settings.execution import Execution  # noqa: PLC0415
    from tasks.collect import collect  # noqa: PLC0415
    from tasks.spreading import task_runner_of  # noqa: PLC0415

    endpoints = [pod.url for pod in pods_at(port)]
    settings = parse_settings({"mimir": {"endpoints": endpoints, "timeout": "60s"}})

    def of_workers() -> float:
        return sum(cpu_seconds(psutil.Process(worker)) for worker in workers)

    @flow(persist_result=False)
    async def looks() -> list[tuple[float, float, float]]:
        """Seconds, CPU seconds here and CPU seconds of the workers, of each look."""
        told, known = [], {}
        for _ in range(LOOKS):
            began, here = time.perf_counter(), time.process_time()
            there = of_workers()
            seen = await collect(settings, clock=lambda: datetime.now(UTC), known=known)
            assert not seen.failed, seen.failed
            took = time.perf_counter() - began, time.process_time() - here
            told.append((*took, of_workers() - there))
        return told

    told = Execution(task_runner="dask" if address else "threads", dask_address=address)
    runner = task_runner_of(told)
    first, *later = asyncio.run((looks.with_options(task_runner=runner) if runner else looks)())
    look, here, there = map(statistics.median, zip(*later, strict=True))
    where = f"{len(workers)} workers" if workers else "no worker"
    print(
        f"{tenants:>8}  {where:<10}{first[0]:>10.2f} s{look:>10.2f} s{here:>10.2f} s"
        f"{there:>10.2f} s{look:>10.4f}"
    )


def main(sizes: Sequence[int]) -> None:
    print(
        f"{'tenants':>8}  {'beside it':<10}{'first':>12}{'a look':>12}{'CPU here':>12}"
        f"{'of workers':>12}{'ratio':>10}"
    )
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        environ = stack.enter_context(prefect_server(folder))
        for tenants in sizes:
            serving = [*PYTHON, "benchmarks.cycle", "serve", str(tenants)]
            with (
                subprocess.Popen(serving, stdout=subprocess.PIPE, text=True) as server,
                ExitStack() as end,
            ):
                end.callback(server.terminate)
                assert server.stdout is not None
                port = server.stdout.readline().strip()
                looks: list[float] = []
                for workers in WORKERS:
                    words = ["measure", str(tenants), port]
                    with ExitStack() as cluster:
                        if workers:
                            place = folder / f"{tenants}-{workers}"
                            address, ids = cluster.enter_context(
                                dask(place, workers=workers, environ=environ)
                            )
                            words += [address, *map(str, ids)]
                        asking = [*PYTHON, "benchmarks.scaling", *words]
                        done = subprocess.run(
                            asking, env=environ, check=True, stdout=subprocess.PIPE, text=True
                        )
                    line, _, look = done.stdout.strip("\n").rpartition(" ")
                    looks.append(float(look))
                    print(f"{line.rstrip():<68}{looks[0] / looks[-1]:>9.2f}x", flush=True)
                print(f"{'':>8}  two workers are {looks[1] / looks[2]:.2f} times as fast as one")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["measure", tenants, port, *place]:
            measure(
                int(tenants),
                port=int(port),
                address=place[0] if place else None,
                workers=[int(worker) for worker in place[1:]],
            )
        case sizes:
            main([int(size) for size in sizes] or SIZES)
