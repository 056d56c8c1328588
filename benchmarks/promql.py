"""What a look through PromQL costs, with our own scrape of the same cluster beside it.

    python -m benchmarks.promql [TENANTS ...]

The pods of benchmarks.cycle are scraped by a real Prometheus (Debian's package; without it nothing
is measured). When it has three scrapes of each, both sources look once, each in a process of its
own, so that the peak of memory is its own: time, CPU, memory, and the demand that follows. Most of
the time of a look through PromQL is Prometheus', whose CPU in that time has a column of its own.
"""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil

from benchmarks.cycle import pods_at
from policy.demand import demand
from policy.scrape import Scrape
from policy.settings import parse_settings
from policy.settings.promql import Promql
from tasks.http import mimir_client
from tasks.promql import ask_promql
from tasks.promql_http import promql_client
from tasks.scrape import scrape

SIZES = (1_000, 2_000, 5_000, 10_000)
EVERY_SECONDS = 15
LEAST_SCRAPES = 4
READY_SECONDS = 240


def now() -> datetime:
    return datetime.now(UTC)


def settings_of(url: str) -> Promql:
    told = {"url": url, "delay": "0s", "timeout": "60s", "totalTimeout": "2m"}
    return parse_settings({"promql": told}).promql


@contextmanager
def prometheus(program: str, *, mimir_port: int) -> Iterator[tuple[str, int]]:
    """A Prometheus that scrapes every pod; its address and its process."""
    targets = [
        {
            "targets": [f"127.0.0.1:{mimir_port}"],
            "labels": {"__metrics_path__": f"/{pod.name}/metrics", "pod": pod.name},
        }
        for pod in pods_at(mimir_port)
    ]
    every = {"scrape_interval": f"{EVERY_SECONDS}s", "scrape_timeout": f"{EVERY_SECONDS}s"}
    job = {"job_name": "mimir/all", "static_configs": targets}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "prometheus.yaml"
        config.write_text(json.dumps({"global": every, "scrape_configs": [job]}))
        process = subprocess.Popen(
            [
                program,
                f"--config.file={config}",
                f"--storage.tsdb.path={folder}/tsdb",
                f"--web.listen-address={address}",
                "--log.level=error",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield f"http://{address}", process.pid
        finally:
            process.terminate()
            process.wait(timeout=60)


def wait_until_scraped(url: str) -> None:
    """Return once every pod has three scrapes; gives up in time."""
    deadline = time.monotonic() + READY_SECONDS
    with httpx.Client() as client:
        while time.monotonic() < deadline:
            time.sleep(EVERY_SECONDS)
            with suppress(httpx.HTTPError):
                query = {"query": "min(sum_over_time(up[5m]))"}
                found = client.get(f"{url}/api/v1/query", params=query).json()["data"]["result"]
                if found and float(found[0]["value"][1]) >= LEAST_SCRAPES:
                    return
    sys.exit(f"Prometheus has not scraped every pod {LEAST_SCRAPES} times in {READY_SECONDS} s")


async def both_scrapes(source: str, where: str) -> tuple[Scrape, Scrape, float, float]:
    """The scrape and the one before it, and when the newest look began, by clock and by CPU."""
    if source == "promql":
        promql = settings_of(where)
        async with promql_client(promql) as client:
            began, cpu = time.perf_counter(), time.process_time()
            pair = await ask_promql(promql, client=client, clock=now)
        return pair.current, pair.previous, began, cpu
    pods = pods_at(int(where))
    async with mimir_client(timeout_seconds=60, headers={}) as client:
        before = await scrape(pods, client=client, clock=now, timeout_seconds=60)
        began, cpu = time.perf_counter(), time.process_time()
        current = await scrape(pods, client=client, clock=now, timeout_seconds=60)
    return current, before, began, cpu


def cpu_seconds(process: int) -> float:
    """What a process has used until now."""
    used = psutil.Process(process).cpu_times()
    return used.user + used.system


async def measure(source: str, tenants: int, where: str, *, prometheus: int) -> None:
    """One look; prints one line about it."""
    others_before = cpu_seconds(prometheus)
    current, before, began, cpu = await both_scrapes(source, where)
    read, others = time.perf_counter(), cpu_seconds(prometheus) - others_before
    assert not current.failed, current.failed
    samples = demand(current, before)
    ended = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{source:<8}{tenants:>8}{current.readings.height:>10}{samples.height:>9}"
        f"{read - began:>9.2f} s{ended - read:>8.2f} s{time.process_time() - cpu:>8.2f} s"
        f"{peak:>7.0f} MiB{others:>10.2f} s"
    )


def main(sizes: tuple[int, ...]) -> None:
    program = shutil.which("prometheus")
    if program is None:
        sys.exit("prometheus is not installed (Debian: apt-get install prometheus)")
    print(
        f"{'source':<8}{'tenants':>8}{'readings':>10}{'samples':>9}{'read':>11}{'demand':>10}"
        f"{'CPU':>10}{'peak':>11}{'Prometheus':>12}",
        flush=True,
    )
    python = [sys.executable, "-m"]
    for tenants in sizes:
        serving = [*python, "benchmarks.cycle", "serve", str(tenants)]
        server = subprocess.Popen(serving, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            with prometheus(program, mimir_port=int(port)) as (url, process):
                wait_until_scraped(url)
                for source, where in (("promql", url), ("scrape", port)):
                    told = ["measure", source, str(tenants), where, str(process)]
                    asking = [*python, "benchmarks.promql", *told]
                    subprocess.run(asking, check=False, timeout=300)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["measure", source, tenants, where, process]:
            asyncio.run(measure(source, int(tenants), where, prometheus=int(process)))
        case sizes:
            main(tuple(map(int, sizes)) or SIZES)
