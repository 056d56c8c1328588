"""What the simulated Mimir costs: CPU a second, a page, a past; one line each."""

from __future__ import annotations

import json
import tempfile
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from simulator import Cluster, Plan, Request, history, operator_overrides, respond, roster

TENANTS = 20
SECONDS = 600
PAGES = 100


def cpu_seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def render(cluster: Cluster, request: Request) -> None:
    for _ in range(PAGES):
        respond(cluster, request)


def main() -> None:
    tenants = roster(TENANTS)
    now = 1_800_000_000.0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "runtime.json"
        file.write_text(json.dumps({"overrides": operator_overrides(tenants)}))
        cluster = Cluster(Plan(tenants=tenants, runtime_files=[file]), clock=lambda: now)

        def live() -> None:
            nonlocal now
            for _ in range(SECONDS):
                now += 1.0
                cluster.advance()

        share = cpu_seconds(live) / SECONDS
        print(f"living: {share:.2%} of a core for {TENANTS} tenants")
        for process in ("distributor-0", "ingester-0", "query-frontend"):
            request = Request(path=f"/{process}/metrics")
            page = cpu_seconds(partial(render, cluster, request))
            print(f"page of {process}: {page / PAGES * 1_000:.2f} ms")
    told = history(tenants=tenants, until=datetime.now(UTC), days=2)
    past = cpu_seconds(partial(deque, told, maxlen=0))
    print(f"two days of past: {past:.2f} s")


if __name__ == "__main__":
    main()
