"""What one look at a large cluster costs: time, memory, and how both grow with the tenants.

    python -m benchmarks.cycle [TENANTS ...]

20 pods (8 distributors, 12 ingesters in 3 zones) answer over loopback HTTP with the families and
label shapes of a page that was captured from a real Mimir, for as many tenants as asked for. Timed
is what `protect` does with them: fetch and read two scrapes (the second one counts), the demand on
every limit, and its samples appended to a history file. Each size runs in a process of its own, so
that the peak of its memory is its own; the server is another one.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # as `mlo` does

from policy.demand import demand
from policy.scrape import Pod
from storage.database import Database
from storage.samples import append_samples
from tasks.http import mimir_client
from tasks.scrape import scrape

SIZES = (1_000, 2_000, 5_000, 10_000)
DISTRIBUTORS, INGESTERS = 8, 12
CAPTURED = (
    Path(__file__).parent.parent
    / "tests"
    / "fixtures"
    / "metrics"
    / "mimir-all-2000-tenants.prom.gz"
)
A_TENANT = re.compile(r'user="([^"]+)"')


def page(component: str, *, tenants: int, tick: int) -> bytes:
    """One pod's page, gzip: the families of the component, each below its `# TYPE` as captured."""
    lines: list[str] = []
    captured = gzip.decompress(CAPTURED.read_bytes()).decode().splitlines()
    first = next(found[0] for line in captured if (found := A_TENANT.search(line)))
    for line in captured:
        name = line.removeprefix("# TYPE ")
        if not name.startswith(f"cortex_{component}_"):
            continue
        if line is not name or "user=" not in line:
            lines.append(line)
        elif first in line:
            head = line.rpartition(" ")[0].replace(first, 'user="@"')
            lines += [
                f"{head.replace('@', f'tenant-{n:05d}')} {1_000 + n + 150 * tick * (n % 7)}"
                for n in range(tenants)
            ]
    lines.insert(0, "cortex_distributor_replication_factor 3")
    return gzip.compress("\n".join([*lines, ""]).encode(), compresslevel=1)


def serve(tenants: int) -> None:
    """Answer as every pod on one port; the path's first part is the pod. Prints the port."""
    bodies = {
        (component, tick): page(component, tenants=tenants, tick=tick)
        for component in ("distributor", "ingester")
        for tick in (0, 1)
    }
    asked: dict[str, int] = {}

    class Pods(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pod = self.path.split("/")[1]
            asked[pod] = asked.get(pod, -1) + 1
            body = bodies[pod.split("-")[0], min(asked[pod], 1)]
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # every pod is asked at once

    server = Server(("127.0.0.1", 0), Pods)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def pods_at(port: int) -> list[Pod]:
    """Every pod that answers on the port."""
    names = [
        *(f"distributor-{n}" for n in range(DISTRIBUTORS)),
        *(f"ingester-zone-{n % 3}-{n // 3}" for n in range(INGESTERS)),
    ]
    return [Pod(name=name, url=f"http://127.0.0.1:{port}/{name}") for name in names]


async def measure(tenants: int, *, port: int) -> None:
    """Two looks; prints one line about the second."""

    def clock() -> datetime:
        return datetime.now(UTC)

    pods = pods_at(port)
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(f"{folder}/history.duckdb", clock=clock)
        async with mimir_client(timeout_seconds=60, headers={}) as client:
            first = await scrape(pods, client=client, clock=clock, timeout_seconds=60)
            began, cpu = time.perf_counter(), time.process_time()
            second = await scrape(pods, client=client, clock=clock, timeout_seconds=60)
        read = time.perf_counter()
        assert not second.failed, second.failed
        samples = demand(second, first)
        decided = time.perf_counter()
        append_samples(database, samples)
        ended = time.perf_counter()
        database.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{tenants:>8}{second.readings.height:>10}{samples.height:>9}{read - began:>9.2f} s"
        f"{decided - read:>8.2f} s{ended - decided:>8.2f} s{ended - began:>8.2f} s"
        f"{time.process_time() - cpu:>8.2f} s{peak:>7.0f} MiB"
    )


def main(sizes: tuple[int, ...]) -> None:
    print(
        f"{'tenants':>8}{'readings':>10}{'samples':>9}{'read':>11}{'demand':>10}{'store':>10}"
        f"{'all':>10}{'CPU':>10}{'peak':>11}"
    )
    here = [sys.executable, "-m", "benchmarks.cycle"]
    for tenants in sizes:
        server = subprocess.Popen([*here, "serve", str(tenants)], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            subprocess.run([*here, "measure", str(tenants), port], check=True)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", tenants]:
            serve(int(tenants))
        case ["measure", tenants, port]:
            asyncio.run(measure(int(tenants), port=int(port)))
        case sizes:
            main(tuple(map(int, sizes)) or SIZES)
