"""What one run of `optimize` costs: 12 limits, 70 days of peaks, by the number of tenants.

    python -m benchmarks.optimize [TENANTS ...]

The days are generated straight into a history file with SQL. Timed is what a run does between the
history and the decisions: reading the days, the estimates, the decisions with their steps. Each
size runs in a process of its own, so that the peak of its memory is its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import polars as pl

from benchmarks.history import DAYS, LIMITS, NOW, SIGNALS, SIZES, WINDOW
from flows.estimating import estimated
from policy.evidence import Evidence
from policy.frames import LIMITS as LIMITS_SCHEMA
from policy.recommend import recommend
from policy.rules import Rules
from policy.settings import Settings
from storage.database import Database
from storage.maintenance import checkpoint


def fill(database: Database, *, tenants: int) -> None:
    """70 days of daily peaks up to NOW."""
    start = (NOW - WINDOW).replace(hour=0, minute=0)
    while start < NOW:
        hours = min(24, (NOW - start) // timedelta(hours=1))
        given = {"day": start, "tenants": tenants, "signals": SIGNALS, "hours": hours}
        database.cursor().execute(DAYS, given)
        start += timedelta(days=1)
    checkpoint(database)


def measure(tenants: int, *, path: Path) -> None:
    """Prints one line about a run on so many tenants."""
    rules = Rules(buffer_percentage=20, limits=tuple(sorted(LIMITS)))
    names = pl.DataFrame({"tenant": [f"tenant-{n:05d}" for n in range(tenants)]})
    current = (
        names.with_row_index("number")
        .join(pl.DataFrame({"limit": LIMITS}), how="cross")
        .select("tenant", "limit", value=(pl.col("number") + 1_000) * 2.0)
        .cast(LIMITS_SCHEMA)
    )
    memory = Settings().storage.memory_limit
    with Database.open(str(path), clock=lambda: NOW, memory_limit=memory) as database:
        began, cpu = time.perf_counter(), time.process_time()
        known = estimated(
            database,
            settings=Settings(),
            limits=dict(zip(LIMITS, LIMITS, strict=True)),
            in_force=lambda _, limits: current.filter(pl.col("limit").is_in(list(limits))),
            now=NOW,
        )
        after_estimates = time.perf_counter() - began
        found = recommend(
            Evidence(estimates=known.estimates, current=current, coverage=1.0), rules=rules, now=NOW
        )
        whole, cpu = time.perf_counter() - began, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{tenants:>7,} tenants {found.decisions.height:>9,} decisions"
        f"  estimates {after_estimates:5.2f} s  whole run {whole:5.2f} s  CPU {cpu:5.2f} s"
        f"  peak memory {memory:,.0f} MiB"
    )


def main() -> None:
    """Measure the sizes that are named, or all."""
    if len(sys.argv) == 4 and sys.argv[1] in {"fill", "measure"}:  # noqa: PLR2004 - a child's words
        path, tenants = Path(sys.argv[2]), int(sys.argv[3])
        if sys.argv[1] == "measure":
            measure(tenants, path=path)
            return
        with Database.open(str(path), clock=lambda: NOW) as database:
            fill(database, tenants=tenants)
        return
    for tenants in map(int, sys.argv[1:] or SIZES):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "history.duckdb")
            for work in ("fill", "measure"):
                command = [sys.executable, "-m", "benchmarks.optimize", work, path, tenants]
                subprocess.run([str(word) for word in command], check=True)


if __name__ == "__main__":
    main()
