"""What estimating the demand of a large cluster costs: time, memory, and how both grow.

    python -m benchmarks.estimate [TENANTS ...]

12 limits and 71 days per tenant, with weekdays, growth, events and gaps; the tenants are handed in
by batches of 1,000, as they come from the history. Timed is the estimate with its strategy, with
the hours of the week beside it, and with the risk of every limit. Each size runs in a process of
its own, so that the peak of its memory is its own. POLARS_MAX_THREADS bounds the threads;
on a machine that has other work, the CPU time tells more than the time.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from datetime import UTC, datetime

import polars as pl

from policy.estimate import EstimateRules, estimate, probability
from policy.estimate.daily import daily
from policy.frames import DAYS, SEASONS, UTC_TIME

SIZES = (1_000, 2_000, 5_000, 10_000)
LIMITS, DAYS_KEPT, BATCH = 12, 71, 1_000
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CATEGORIES = pl.Enum([f"limit_number_{i:02}" for i in range(LIMITS)])


def keys(first: int, count: int) -> pl.DataFrame:
    """Tenants and limits of one batch, the tenants of an Enum as a history gives them."""
    names = [f"tenant-{i:06}" for i in range(first, first + count)]
    tenants = pl.DataFrame({"tenant": names}, schema={"tenant": pl.Enum(names)})
    limits = pl.DataFrame({"limit": CATEGORIES.categories}, schema={"limit": CATEGORIES})
    return tenants.join(limits, how="cross").with_row_index("n")


def some_days(first: int, count: int) -> pl.DataFrame:
    """DAYS of a batch; every seventh key grows, each day is an event in one key of a hundred."""
    ages = pl.DataFrame({"age": range(DAYS_KEPT - 1, -1, -1)}, schema={"age": pl.Int64})
    rows = keys(first, count).join(ages, how="cross")
    noise = (pl.struct("n", "age").hash(seed=1) % 1_000) / 1_000
    level = (1_000 + pl.col("n") % 977) * (1 + 0.2 * noise + 0.1 * (pl.col("age") % 7 > 1))
    grown = level * pl.when(pl.col("n") % 7 == 0).then(1 - pl.col("age") * 0.004).otherwise(1.0)
    event = pl.struct("n", "age").hash(seed=2) % 100 == 0
    told = rows.with_columns(sustained=grown.cast(pl.Float64), event=event)
    return told.select(
        "tenant",
        "limit",
        day=(pl.lit(NOW).cast(UTC_TIME) - pl.duration(days="age")).dt.date(),
        peak=pl.col("sustained") * pl.when("event").then(4.0).otherwise(1.1),
        sustained="sustained",
        points=pl.lit(288, dtype=pl.Int64),
        hours=pl.lit(24, dtype=pl.Int64),
        coverage=pl.lit(1.0),
        pressure=pl.when(pl.col("n") % 50 == 0).then(0.0),
        last_at=pl.lit(NOW).cast(UTC_TIME) - pl.duration(days="age"),
    ).select(DAYS.names())


def some_seasons(first: int, count: int) -> pl.DataFrame:
    """SEASONS of a batch: 168 rows per tenant and limit."""
    hours = pl.DataFrame({"hour_of_week": range(168)}, schema={"hour_of_week": pl.Int16})
    rows = keys(first, count).join(hours, how="cross")
    level = (900 + pl.col("n") % 977 + pl.col("hour_of_week") % 24).cast(pl.Float64)
    return rows.with_columns(level=level, weeks=pl.lit(10, dtype=pl.Int64)).select(SEASONS.names())


def measure(tenants: int) -> str:
    """One line of results."""
    rules = EstimateRules(hour_factors={9: 1.5, 10: 1.5})
    plain = seasonal = risky = busy = 0.0
    count = held_down = 0
    for first in range(0, tenants, BATCH):
        size = min(BATCH, tenants - first)
        days, seasons = some_days(first, size), some_seasons(first, size)
        start, began = time.perf_counter(), time.process_time()
        estimates = estimate(days, rules=rules, now=NOW)
        plain += time.perf_counter() - start
        busy += time.process_time() - began

        start = time.perf_counter()
        estimates = estimate(days, seasons=seasons, rules=rules, now=NOW)
        seasonal += time.perf_counter() - start

        limits = estimates.select("tenant", "limit", value=pl.col("demand") * 1.2)
        start = time.perf_counter()
        rows = daily(days, rules=rules, now=NOW)
        probability(rows, estimates=estimates, limits=limits)
        risky += time.perf_counter() - start
        count += days.height
        held_down += estimates["event"].count()
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{tenants:>7,} tenants  {count:>9,} days  {plain:6.2f} s (CPU {busy:.2f} s)  "
        f"with seasons {seasonal:6.2f} s  risk {risky:6.2f} s  peak {peak_mib:,.0f} MiB  "
        f"{held_down:,} events"
    )


def main() -> None:
    sizes = [int(size) for size in sys.argv[1:]]
    if len(sizes) == 1:
        print(measure(sizes[0]), flush=True)
        return
    for size in sizes or SIZES:
        subprocess.run([sys.executable, "-m", "benchmarks.estimate", str(size)], check=True)


if __name__ == "__main__":
    main()
