"""How soon a person sees something, and a Prometheus its metrics, by the number of tenants.

    python -m benchmarks.screens [TENANTS ...]

The history and the metrics are those of a process that has looked at a fleet of 9 processes,
decided every limit and published: its flows ran on pages over loopback HTTP. The endpoint of the
resident process answers from a thread of its own, and a client in another process asks it.
Milliseconds, the median of the repeats:

    screen      the console at `/`, and what its first view asks for at once: status, tenants
    metrics     `/metrics`
    sent        the peer: the same bytes as `/metrics` from a route that does nothing but send them
    KiB         how much `/metrics` is
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # as `mlo` does

import httpx
from fastapi import FastAPI, Response
from prometheus_client import CollectorRegistry, generate_latest

from benchmarks.history import NOW, fill
from benchmarks.protect import HERE as PAGES
from deployments.api.access import Access
from deployments.api.desk import Desk
from deployments.api.rate import Buckets
from deployments.api.routes import api_routes
from deployments.endpoint import Endpoint, application
from flows.optimize import optimize
from flows.protect import protect
from flows.runtime import Runtime, install
from flows.vitals import Vitals
from policy.settings import Settings, parse_settings
from storage.database import Database
from tasks.telemetry import Telemetry

SIZES: Final = (200, 2_000)
DISTRIBUTORS, INGESTERS = 3, 6
PORT: Final = 4313
REPEATS: Final = 9
EVERY: Final = timedelta(seconds=15)


async def worked(looks: list[int]) -> None:
    """What a process has done before somebody looks."""
    for flow in (protect, protect, optimize, protect):
        looks.append(1)
        await flow.fn()


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    endpoint = Endpoint(app, host="127.0.0.1", port=PORT)
    endpoint.start()
    url = f"http://127.0.0.1:{PORT}"
    for _ in range(200):
        try:
            httpx.get(f"{url}/health")
            break
        except httpx.TransportError:
            time.sleep(0.05)
    try:
        yield url
    finally:
        endpoint.stop()


def milliseconds(ask: Callable[[], object]) -> float:
    def once() -> float:
        began = time.perf_counter()
        ask()
        return (time.perf_counter() - began) * 1000

    return statistics.median(once() for _ in range(REPEATS))


def asked(url: str, *, tenants: int) -> None:
    """As a browser and a Prometheus ask; prints a line."""
    with httpx.Client(base_url=url) as client:

        def get(*paths: str) -> bytes:
            body = b""
            for path in paths:
                answer = client.get(path)
                answer.raise_for_status()
                body = answer.content
            return body

        screen = milliseconds(lambda: get("/", "/api/v1/status", "/api/v1/tenants?limit=50"))
        metrics = milliseconds(lambda: get("/metrics"))
        sent = milliseconds(lambda: get("/sent"))
        size = len(get("/metrics")) / 1024
    print(
        f"{tenants:>8}{screen:>9.0f} ms{metrics:>9.0f} ms{sent:>7.0f} ms"
        f"{metrics / max(sent, 0.1):>6.1f}x{size:>7.0f} KiB",
        flush=True,
    )


def measure(tenants: int, *, port: int) -> None:
    looks: list[int] = []

    def clock() -> datetime:
        return NOW + len(looks) * EVERY

    names = [f"distributor-{n}" for n in range(DISTRIBUTORS)]
    names += [f"ingester-zone-{n % 3}-{n // 3}" for n in range(INGESTERS)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "overrides.yaml"
        file.write_text("overrides: {}\n")
        settings: Settings = parse_settings(
            {
                "mode": "prod",
                "mimir": {"endpoints": [f"http://127.0.0.1:{port}/{name}" for name in names]},
                "publish": {"file": {"path": str(file)}},
                "storage": {"url": f"{folder}/history.duckdb"},
            }
        )
        with Database.open(f"{folder}/history.duckdb", clock=clock) as database:
            fill(database, tenants=tenants)
            runtime = Runtime(
                settings=lambda: settings,
                database=database,
                clock=clock,
                telemetry=Telemetry(CollectorRegistry()),
                vitals=Vitals(born_at=clock()),
            )
            install(runtime)
            asyncio.run(worked(looks))
            desk = Desk(database=database, settings=lambda: settings, clock=clock)
            app = application(
                vitals=runtime.vitals,
                telemetry=runtime.telemetry,
                protect_interval=lambda: settings.protect_interval,
                clock=clock,
                api=api_routes(
                    desk,
                    access=Access(server=lambda: settings.server),
                    vitals=runtime.vitals,
                    buckets=Buckets(seconds=lambda: time.monotonic() * 1000),
                ),
            )
            body = generate_latest(runtime.telemetry.registry)
            app.get("/sent")(lambda: Response(body))
            with served(app) as url:
                command = [sys.executable, "-m", "benchmarks.screens", "ask", url, str(tenants)]
                subprocess.run(command, check=True)
            install(None)


def main(sizes: tuple[int, ...]) -> None:
    print(f"{'tenants':>8}{'screen':>12}{'metrics':>12}{'sent':>10}{'':>7}{'size':>11}", flush=True)
    for tenants in sizes:
        numbers = [str(tenants), str(DISTRIBUTORS), str(INGESTERS)]
        serve = [*PAGES, "serve", *numbers]
        with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as pages:
            try:
                assert pages.stdout is not None
                port = int(pages.stdout.readline())
                command = [sys.executable, "-m", "benchmarks.screens", "measure", str(tenants)]
                subprocess.run([*command, str(port)], check=True)
            finally:
                pages.terminate()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["measure", count, at]:
            measure(int(count), port=int(at))
        case ["ask", where, count]:
            asked(where, tenants=int(count))
        case given:
            main(tuple(map(int, given)) or SIZES)
