"""What a long history costs: rolling it up and reading its days, by the number of tenants.

    python -m benchmarks.history [TENANTS ...]

70 days of 24 signals of every tenant, 12 of which are limits, are generated straight into a
history file with SQL. Timed is one roll-up of five minutes at the end of it, one that closes an
hour, and one reading of the days of all tenants in batches. Each size runs in a process of its
own, so that the peak of its memory is its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from flows.breaking import WATCHED
from policy.catalogue import limits as known_limits
from policy.frames import SAMPLES
from policy.signals import PRESSURE_ON
from storage.database import Database
from storage.maintenance import checkpoint
from storage.peaks import days, limit_batches
from storage.rollups import roll_up
from storage.samples import append_samples

SIZES = (1_000, 2_000, 5_000, 10_000)
NOW = datetime(2026, 11, 23, 10, 40, tzinfo=UTC)
WINDOW = timedelta(days=70)
SUSTAINED = timedelta(minutes=35)
FIVE_MINUTES = timedelta(minutes=5)
LIMITS = sorted(PRESSURE_ON.keys() & known_limits().keys())[:12]
SIGNALS = [*LIMITS, *dict.fromkeys(PRESSURE_ON[limit] for limit in LIMITS)]
SIGNALS += [name for name in WATCHED if name not in SIGNALS]
SIGNALS += [f"other_{n}" for n in range(24 - len(SIGNALS))]

# A day at a time, as the roll-up writes it.
HOURS = """
    insert into peaks_hourly by name
    select
        $day::timestamptz + interval '1 hour' * h.h as "at",
        format('tenant-{:05d}', t.t) as tenant, s.signal,
        v.v as max, v.v as calm, v.v * 0.9 as sustained, v.v * 0.7 as mean,
        v.v * 168 as sum, 240 as count, 1.0 as coverage, 12 as points,
        $day::timestamptz + interval '1 hour' * (h.h + 1) as last_at
    from range($hours) h(h), range($tenants) t(t), (select unnest($signals) as signal) s,
        lateral (select round((1000 + t.t) * (1 + 0.3 * sin(h.h / 4.0) + 0.2 * random())) as v) v
    order by "at", signal, tenant
"""
DAYS = """
    insert into peaks_daily by name
    select $day::timestamptz as "at", format('tenant-{:05d}', t.t) as tenant, s.signal,
        v.v as max, v.v as calm, v.v * 0.9 as sustained, v.v * 0.7 as mean,
        v.v * 168 * $hours as sum, 240 * $hours as count, 12 * $hours as points, $hours as hours,
        1.0 as coverage, $day::timestamptz + interval '1 hour' * $hours as last_at
    from range($tenants) t(t), (select unnest($signals) as signal) s,
        lateral (select round((1000 + t.t) * (1.3 + 0.2 * random())) as v) v
    order by signal, tenant
"""
# What the running hour knows already, and the two days before it.
BUCKETS = """
    insert into rollups_5m by name
    select
        $start::timestamptz + interval '5 minutes' * b.b as "at",
        format('tenant-{:05d}', t.t) as tenant, s.signal, 1000 + t.t as max, 900 + t.t as mean,
        20 * (900 + t.t) as sum, 20 as count, 1.0 as coverage, 'measured' as origin
    from range($buckets) b(b), range($tenants) t(t), (select unnest($signals) as signal) s
    order by "at", signal, tenant
"""


def fill(database: Database, *, tenants: int) -> None:
    """70 days of days up to NOW, the hours of them that are read again, and six hours of buckets.

    Those hours are the ones of the last two days, and of the same weekday in the weeks before.
    """
    cursor = database.cursor()
    start = (NOW - WINDOW).replace(hour=0, minute=0)
    while start < NOW:
        hours = min(24, (NOW - start) // timedelta(hours=1))
        read_again = (NOW.date() - start.date()).days % 7 in {0, 1}
        given = {"day": start, "tenants": tenants, "signals": SIGNALS}
        if read_again:
            cursor.execute(HOURS, {**given, "hours": hours})
        cursor.execute(DAYS, {**given, "hours": hours})
        start += timedelta(days=1)
    given = {"start": NOW - timedelta(hours=6), "tenants": tenants, "signals": SIGNALS}
    cursor.execute(BUCKETS, {**given, "buckets": timedelta(hours=6) // FIVE_MINUTES})
    checkpoint(database)


def looked(database: Database, *, tenants: int, at: datetime) -> None:
    """Two looks at every signal of every tenant in the five minutes from then on."""
    names = pl.DataFrame({"tenant": [f"tenant-{n:05d}" for n in range(tenants)]})
    frame = names.join(pl.DataFrame({"signal": SIGNALS}), how="cross").with_columns(
        at=pl.lit(at, dtype=SAMPLES["at"]), value=pl.lit(1_500.0), coverage=pl.lit(1.0)
    )
    for seconds in (30, 200):
        append_samples(database, frame.with_columns(pl.col("at") + timedelta(seconds=seconds)))


def read(database: Database) -> int:
    """Every day of every tenant, a batch at a time; how many rows there were."""
    rows = 0
    of_themselves = dict(zip(LIMITS, LIMITS, strict=True))
    for limits in limit_batches(database, now=NOW, window=WINDOW, limits=of_themselves):
        found = days(database, now=NOW, window=WINDOW, limits=limits)
        rows += found.height
    return rows


def timed(work: Callable[[], object]) -> tuple[float, object]:
    began = time.perf_counter()
    answer = work()
    return time.perf_counter() - began, answer


def measure(tenants: int, *, path: Path) -> None:
    """Prints one line about a history of so many tenants."""
    with Database.open(str(path), clock=lambda: NOW) as database:
        size = path.stat().st_size / 2**20
        looked(database, tenants=tenants, at=NOW)
        rolling, _ = timed(
            lambda: roll_up(database, now=NOW + FIVE_MINUTES, sustained_for=SUSTAINED)
        )
        rolled = peak_of_memory()
        closing = NOW + timedelta(minutes=15)
        looked(database, tenants=tenants, at=closing)
        hourly, _ = timed(
            lambda: roll_up(database, now=closing + FIVE_MINUTES, sustained_for=SUSTAINED)
        )
        reading, rows = timed(lambda: read(database))
    print(
        f"{tenants:>8}{size:>9.0f} MiB{rolling:>9.2f} s{hourly:>9.2f} s{rolled:>9.0f} MiB"
        f"{rows:>11}{reading:>9.2f} s{peak_of_memory():>9.0f} MiB"
    )


def peak_of_memory() -> float:
    """Of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(sizes: tuple[int, ...]) -> None:
    print(
        f"{'tenants':>8}{'file':>13}{'roll-up':>11}{'hour':>11}{'peak':>13}"
        f"{'days':>11}{'read':>11}{'peak':>13}"
    )
    here = [sys.executable, "-m", "benchmarks.history"]
    for tenants in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "history.duckdb")
            for step in ("fill", "measure"):
                subprocess.run([*here, step, str(tenants), path], check=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["fill", tenants, path]:
            with Database.open(path, clock=lambda: NOW) as opened:
                fill(opened, tenants=int(tenants))
        case ["measure", tenants, path]:
            measure(int(tenants), path=Path(path))
        case sizes:
            main(tuple(map(int, sizes)) or SIZES)
