"""How long a run of `protect` takes while every alert channel hangs, beside one that is alone.

    python -m benchmarks.hanging [TENANTS ...]

A fleet of three processes answers over loopback HTTP, as in `benchmarks.protect`. Slack, PagerDuty,
e-mail, two webhooks, an Alertmanager and a service of Apprise are enabled, and whoever speaks to
one of them is never answered. `protect` runs in turn alone and while `deliver` waits for all of
them, in a thread of its own as the worker has it, with a hundred new alerts each time. The columns
are medians of wall time; the last is their ratio.
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
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Semaphore, Thread
from typing import Any, Final

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # as `mlo` does

from prometheus_client import CollectorRegistry

from benchmarks.history import NOW, fill
from benchmarks.protect import EVERY, HERE
from flows.deliver import deliver_once
from flows.protect import protect_once
from flows.runtime import Runtime, install
from flows.vitals import Vitals
from policy.alerting.alert import Alert
from policy.settings import parse_settings
from storage.alerts import raise_alerts
from storage.database import Database
from tasks.telemetry import Telemetry

SIZES: Final = (200, 2_000)
LOOKS: Final = 6  # of each kind; the pages of the fleet last for 13
ALERTS: Final = 100
TIMEOUT: Final = "4s"
CHANNELS: Final = ("slack", "pagerduty", "email", "alertmanager", "one", "two", "chat")
NAMES: Final = ("distributor-0", "ingester-zone-0-0", "ingester-zone-1-0")


@contextmanager
def silent() -> Iterator[tuple[int, Semaphore]]:
    """A port that takes every connection and never says a word; the semaphore counts them."""
    listening, spoken_to = socket.create_server(("127.0.0.1", 0), backlog=128), Semaphore(0)
    kept: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            kept.append(connection)
            spoken_to.release()

    thread = Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1], spoken_to
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for connection in kept:
            connection.close()


def channels(port: int) -> dict[str, Any]:
    """Every channel there is, at this port."""
    url = f"http://127.0.0.1:{port}"
    on = {"enabled": True, "timeout": TIMEOUT}
    return {
        "slack": {**on, "webhookURL": f"{url}/services/T/B/key"},
        "pagerduty": {**on, "integrationKey": "0123456789abcdef0123456789abcdef", "url": url},
        "email": {
            **on,
            "smtpHost": "127.0.0.1",
            "smtpPort": port,
            "from": "mlo@example.com",
            "to": ["ops@example.com"],
            "useTLS": False,
        },
        "alertmanager": {**on, "urls": [url]},
        "webhooks": {name: {**on, "url": url} for name in ("one", "two")},
        "apprise": {"chat": {**on, "url": f"json://127.0.0.1:{port}"}},
        "routing": [{"channels": list(CHANNELS), "escalation": "24h"}],
        "queue": {"waiting": 100_000, "retrying": 100_000},
    }


def alerts(at: datetime) -> list[Alert]:
    """As many as there are, each of a tenant of its own."""
    return [
        Alert(
            at=at,
            kind="breaker",
            priority="P0",
            component="circuit-breaker",
            incident=f"breaker:{at:%H%M%S}:{n}",
            title="it blasts",
            reason="it sends far more than usual",
            evidence={},
            lasts=True,
        )
        for n in range(ALERTS)
    ]


async def run(runtime: Runtime, flow: str) -> float:
    """One run of it, in seconds."""
    began = time.perf_counter()
    with runtime.run(flow) as each:
        await (protect_once if flow == "protect" else deliver_once)(runtime, each)
    return time.perf_counter() - began


def measure(tenants: int, *, port: int) -> None:
    """Looks in turn alone and beside channels that hang; prints a line."""
    looks = 0

    def clock() -> datetime:
        return NOW + looks * EVERY

    with tempfile.TemporaryDirectory() as folder, silent() as (quiet, spoken_to):
        file = Path(folder) / "overrides.yaml"
        file.write_text("overrides: {}\n")
        history = f"{folder}/history.duckdb"
        settings = parse_settings(
            {
                "mode": "prod",
                "mimir": {"endpoints": [f"http://127.0.0.1:{port}/{name}" for name in NAMES]},
                "publish": {"file": {"path": str(file)}},
                "storage": {"url": history},
                "alerting": channels(quiet),
            }
        )
        with Database.open(history, clock=clock) as database:
            fill(database, tenants=tenants)
            runtime = Runtime(
                settings=lambda: settings,
                database=database,
                clock=clock,
                telemetry=Telemetry(CollectorRegistry()),
                vitals=Vitals(born_at=clock()),
            )
            install(runtime)
            asyncio.run(run(runtime, "protect"))
            spent: dict[bool, list[float]] = {False: [], True: []}
            for look in range(2 * LOOKS):
                looks += 1
                hangs = look % 2 == 1
                thread = Thread(target=lambda: asyncio.run(run(runtime, "deliver")), daemon=True)
                if hangs:
                    raise_alerts(database, alerts(clock()))
                    thread.start()
                    if not all(spoken_to.acquire(timeout=30) for _ in CHANNELS):
                        sys.exit("a channel was not asked, so it does not hang")
                spent[hangs].append(asyncio.run(run(runtime, "protect")))
                if hangs:
                    if not thread.is_alive():
                        sys.exit("deliver was done before protect was: nothing hung")
                    thread.join()
                    # Whom it left alone is spoken to again.
                    database.cursor().execute("delete from channels")
            install(None)
    alone, beside = (statistics.median(spent[hangs]) for hangs in (False, True))
    print(
        f"{tenants:>8}{alone * 1000:>9.0f} ms{beside * 1000:>9.0f} ms{beside / alone:>9.2f}",
        flush=True,
    )


def main(sizes: tuple[int, ...]) -> None:
    """Measure each size, before pages that a process of its own serves."""
    print(f"{'tenants':>8}{'alone':>12}{'hanging':>12}{'ratio':>9}", flush=True)
    for tenants in sizes:
        command = [*HERE, "serve", str(tenants), "1", "2"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as pages:
            try:
                assert pages.stdout is not None
                measure(tenants, port=int(pages.stdout.readline()))
            finally:
                pages.terminate()


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or SIZES)
