"""How long the views of costs take to answer, beside polars on the same rows.

    python -m benchmarks.cost_views [DAYS [TENANTS ...]]

Costs by the hour of so many tenants and days are put into a history in a file. v_cost_daily is
asked, of all days and of the last 30, what each tenant, each team, each day, and each tenant in
each day cost; and v_cost_hourly what each tenant did. polars is asked the same of a Parquet file
of the same rows, with the team of each in a column, which is read anew each time. Each is asked
once to warm up and five times more; told is the median. The answers must be the same.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from pathlib import Path

import polars as pl

from storage.database import Database

DAYS, TENANTS = 400, (100, 300, 1_000)
END = datetime(2026, 11, 23, tzinfo=UTC)
TEAMS = 20
ROUNDS = 5
# No two hours and tenants cost alike, and the same run makes the same.
FILL = """
    insert into costs by name
    select
        hours."at", 'tenant-' || lpad(number::varchar, 5, '0') as tenant,
        'EUR' as currency, 'composite' as method, '' as unknown, 3600.0 as covered_seconds,
        (hash(number, hours."at") % 1_000_000_000)::bigint / 1e9 as samples_amount,
        (hash(number, hours."at", 2) % 1_000_000_000)::bigint / 1e9 as series_amount,
        samples_amount * 0.5 + series_amount * 0.5 as amount,
        samples_amount * 1e9 as samples, series_amount * 1e5 as series_hours, 'r' as run_id
    from generate_series($start::timestamptz, $end::timestamptz - interval 1 hour, interval 1 hour)
        as hours("at"), range($tenants) as tenants(number)
    order by "at", tenant
"""
TEAM = f"insert into teams select tenant, 'team-' || (hash(tenant) % {TEAMS}) from costs group by 1"
EXPORT = """
    copy (select * from costs left join teams using (tenant) order by "at", tenant)
    to '{path}' (format parquet)
"""
QUESTIONS = {
    "by tenant": "select tenant, sum(amount) as amount from v_cost_daily {since} group by 1",
    "by team": "select team, sum(amount) as amount from v_cost_daily {since} group by 1",
    "by day": "select day, sum(amount) as amount from v_cost_daily {since} group by 1",
    "tenant, day": "select day, tenant, amount from v_cost_daily {since}",
    "of hours": "select tenant, sum(amount) as amount from v_cost_hourly {since_hour} group by 1",
}
KEYS = {
    "by tenant": ["tenant"],
    "by team": ["team"],
    "by day": ["day"],
    "tenant, day": ["day", "tenant"],
    "of hours": ["tenant"],
}


def measure(tenants: int, *, days: int, folder: Path) -> None:
    """Prints one line for each question."""
    start = END - timedelta(days=days)
    with Database.open(str(folder / "history.duckdb"), clock=lambda: END) as database:
        cursor = database.cursor()
        cursor.execute(FILL, {"start": start, "end": END, "tenants": tenants})
        cursor.execute(TEAM)
        cursor.execute("checkpoint")
        exported = folder / "costs.parquet"
        cursor.execute(EXPORT.format(path=exported))
        (rows,) = cursor.execute("select count(*) from costs").fetchone() or (0,)
        for name, since in product(QUESTIONS, (None, END - timedelta(days=30))):
            view, ours = timed(partial(by_view, database, QUESTIONS[name], since))
            peer, theirs = timed(partial(by_polars, exported, KEYS[name], since))
            agree(view, peer, KEYS[name])
            print(
                f"{tenants:>8}{rows:>12,}  {name:<14}{'all' if since is None else '30 days':<9}"
                f"{ours * 1000:>9.0f} ms{theirs * 1000:>9.0f} ms",
                flush=True,
            )


def by_view(database: Database, sql: str, since: datetime | None) -> pl.DataFrame:
    """The answer of the views."""
    first = "" if since is None else f"{since:%Y-%m-%d}"
    asked = sql.format(
        since=first and f"where day >= date '{first}'",
        since_hour=first and f"where hour >= timestamptz '{first}T00:00:00Z'",
    )
    return database.cursor().execute(asked).pl()


def by_polars(exported: Path, keys: list[str], since: datetime | None) -> pl.DataFrame:
    """The same question, of the same rows."""
    rows = pl.scan_parquet(exported)
    if since is not None:
        rows = rows.filter(pl.col("at") >= since)
    return (
        rows.select(
            "tenant",
            pl.col("team"),
            day=pl.col("at").dt.convert_time_zone("UTC").dt.date(),
            amount="amount",
        )
        .group_by(keys)
        .agg(pl.col("amount").sum())
        .collect()
    )


def timed(ask: Callable[[], pl.DataFrame]) -> tuple[pl.DataFrame, float]:
    """The answer, and the median of how many seconds it took."""
    answer = ask()
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - began)
    return answer, statistics.median(seconds)


def agree(ours: pl.DataFrame, theirs: pl.DataFrame, keys: list[str]) -> None:
    """End the run where the two answers differ."""
    money = pl.col("amount").cast(pl.Decimal(38, 9))
    left, right = (each.select(*keys, money).sort(keys) for each in (ours, theirs))
    if not left.equals(right):
        raise SystemExit(f"the answers by {', '.join(keys)} differ")


def main(days: int, sizes: tuple[int, ...]) -> None:
    """Measure each size, in a history of its own."""
    print(f"{'tenants':>8}{'rows':>12}  {'':<14}{'of':<9}{'views':>12}{'polars':>12}")
    for tenants in sizes:
        with tempfile.TemporaryDirectory() as folder:
            measure(tenants, days=days, folder=Path(folder))


if __name__ == "__main__":
    days, *sizes = map(int, sys.argv[1:] or [DAYS])
    main(days, tuple(sizes) or TENANTS)
