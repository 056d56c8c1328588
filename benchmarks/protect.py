"""What a run of `protect` costs at scale, and how soon a blast that it sees is published.

    python -m benchmarks.protect [TENANTS ...]

Fleets of 3, 9 and 20 processes (1, 3 and 8 of them distributors, the others ingesters) answer over
loopback HTTP with the families and label shapes of a page that was captured from a real Mimir,
each with every tenant on it. The flow runs whole, as the worker runs it: in this process, with a
Prefect server beside it, a history of ten weeks in DuckDB, a runtime file. Looks are 15 s apart by
the clock that the flow is given. The columns:

    calm        CPU of this process a run, Prefect's client included: median of the looks in calm
    blast       CPU of the run that sees one tenant ask for two million samples/s
    published   from the start of that run until the file that caps the tenant is written, wall time
"""

from __future__ import annotations

import asyncio
import gzip
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # as `mlo` does

from prefect.context import AsyncClientContext
from prometheus_client import CollectorRegistry

from benchmarks.cadence import wait_for
from benchmarks.cycle import page
from benchmarks.history import NOW, fill
from deployments.prefect_server import prefect_environment
from flows.protect import protect
from flows.runtime import Runtime, install
from flows.vitals import Vitals
from policy.settings import parse_settings
from storage.database import Database
from tasks.telemetry import Telemetry

PORT: Final = 4312
SIZES: Final = (200, 2_000)
FLEETS: Final = ((1, 2), (3, 6), (8, 12))  # distributors, ingesters
CALM_LOOKS: Final = 12
WARM_UP: Final = 2
EVERY: Final = timedelta(seconds=15)
BLASTING: Final = "tenant-00003"
BLAST_PER_SECOND: Final = 2e6
CONFIGURED: Final = {
    "runtime_config": b"overrides: {}\n",
    "config": b"limits:\n  ingestion_rate: 10000\n  ingestion_burst_size: 200000\n"
    b"  max_global_series_per_user: 150000\n",
}
HERE: Final = (sys.executable, "-m", "benchmarks.protect")


async def measure(tenants: int, *, distributors: int, ingesters: int, port: int) -> None:
    """Some looks in calm and one at a blast; prints a line."""
    looks = 0

    def clock() -> datetime:
        return NOW + looks * EVERY

    names = [f"distributor-{n}" for n in range(distributors)]
    names += [f"ingester-zone-{n % 3}-{n // 3}" for n in range(ingesters)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "overrides.yaml"
        file.write_text("overrides: {}\n")
        history = f"{folder}/history.duckdb"
        settings = parse_settings(
            {
                "mode": "prod",
                "mimir": {"endpoints": [f"http://127.0.0.1:{port}/{name}" for name in names]},
                "publish": {"file": {"path": str(file)}},
                "storage": {"url": history},
            }
        )
        with Database.open(history, clock=clock) as database:
            fill(database, tenants=tenants)
            install(
                Runtime(
                    settings=lambda: settings,
                    database=database,
                    clock=clock,
                    telemetry=Telemetry(CollectorRegistry()),
                    vitals=Vitals(born_at=clock()),
                )
            )
            spent = []
            async with AsyncClientContext():  # as the worker's lane keeps it
                for _ in range(CALM_LOOKS + 1):
                    looks += 1
                    cpu, began = time.process_time(), time.time()
                    await protect()
                    spent.append(time.process_time() - cpu)
            install(None)
        published = file.stat().st_mtime - began
        if BLASTING not in file.read_text():
            sys.exit("the blast was not told and published in one run")
    calm = statistics.median(spent[WARM_UP:-1])
    print(
        f"{tenants:>8}{distributors + ingesters:>11}{calm * 1000:>9.0f} ms"
        f"{spent[-1] * 1000:>9.0f} ms{published:>10.2f} s",
        flush=True,
    )


def serve(tenants: int, *, distributors: int) -> None:
    """Answer as every process on one port, a page further with each request. Prints the port."""
    bodies = {
        (component, tick): page(component, tenants=tenants, tick=tick)
        for component in ("distributor", "ingester")
        for tick in range(CALM_LOOKS + 1)
    }
    more = BLAST_PER_SECOND * EVERY.total_seconds() / distributors
    blast = ("distributor", CALM_LOOKS)
    bodies[blast] = with_blast(bodies[blast], samples=more)
    asked: dict[str, int] = {}

    class Processes(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, _, rest = self.path[1:].partition("/")
            rest = rest.partition("?")[0]
            if rest in CONFIGURED:
                body = gzip.compress(CONFIGURED[rest])
            elif rest == "metrics":
                asked[name] = asked.get(name, -1) + 1
                body = bodies[name.split("-")[0], min(asked[name], CALM_LOOKS)]
            else:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # every process is asked at once

    server = Server(("127.0.0.1", 0), Processes)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def with_blast(body: bytes, *, samples: float) -> bytes:
    """The page with so many samples more of the tenant that blasts."""
    ours = f'cortex_distributor_samples_in_total{{user="{BLASTING}"}}'
    return gzip.compress(
        "".join(
            f"{ours} {float(line.rpartition(' ')[2]) + samples:.0f}\n"
            if line.startswith(ours)
            else f"{line}\n"
            for line in gzip.decompress(body).decode().splitlines()
        ).encode(),
        compresslevel=1,
    )


def line_of(tenants: int, *, fleet: tuple[int, int], environ: Mapping[str, str]) -> None:
    """Serve the pages of a fleet, and measure in a process of its own."""
    numbers = [str(tenants), *map(str, fleet)]
    with subprocess.Popen([*HERE, "serve", *numbers], stdout=subprocess.PIPE, text=True) as pages:
        try:
            assert pages.stdout is not None
            port = pages.stdout.readline().strip()
            subprocess.run([*HERE, "measure", *numbers, port], env=environ, check=True)
        finally:
            pages.terminate()


def main(sizes: tuple[int, ...]) -> None:
    """Measure each size and fleet beside one Prefect server."""
    print(f"{'tenants':>8}{'processes':>11}{'calm':>12}{'blast':>12}{'published':>12}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        environ = prefect_environment(data_folder=Path(name), port=PORT, environ=os.environ)
        del environ["PREFECT_RESULTS_DEFAULT_STORAGE_BLOCK"]  # the worker registers it
        environ["PREFECT_LOGGING_LEVEL"] = "WARNING"
        command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(PORT)]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, env=environ, stdout=quiet, stderr=quiet) as server:
            try:
                wait_for(f"http://127.0.0.1:{PORT}/api/health")
                for tenants in sizes:
                    for fleet in FLEETS:
                        line_of(tenants, fleet=fleet, environ=environ)
            finally:
                server.terminate()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", count, some, _]:
            serve(int(count), distributors=int(some))
        case ["measure", count, some, others, at]:
            asyncio.run(
                measure(int(count), distributors=int(some), ingesters=int(others), port=int(at))
            )
        case given:
            main(tuple(map(int, given)) or SIZES)
