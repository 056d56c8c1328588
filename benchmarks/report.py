"""What a report costs, by the number of tenants, beside a chargeback page of the same history.

    python -m benchmarks.report [TENANTS ...]

A fortnight of hours of 25 signals of every tenant, 12 of which are limits with a standing and three
decisions each, costs, revisions, and of every twentieth a breaker that opened twice: made with SQL.
Timed are the report, what of it is gathering and what is the page, and the chargeback of the same
fortnight, a page of the same tenants without charts. Each size runs in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from benchmarks.history import HOURS, LIMITS, NOW, SIGNALS, peak_of_memory
from deployments.chargeback_page import Page, chargeback_page
from policy.cost.chargeback import chargebacks
from policy.cost.periods import Period
from policy.settings import Settings
from policy.signals import SAMPLES_ASKED
from storage import spending
from storage.database import Database
from storage.maintenance import checkpoint
from tasks.report import DAYS, gathered
from tasks.report_page import report_page

T = TypeVar("T")

SIZES: Final = (250, 500, 1_000, 2_000, 4_000)
SINCE: Final = NOW - timedelta(days=DAYS)
TEAMS: Final = 20

TENANTS_SQL: Final = """
    insert into tenants by name
    select format('tenant-{:05d}', t.t) as tenant, $since::timestamptz as first_seen,
        $now::timestamptz as last_seen, $now::timestamptz as last_demand
    from range($tenants) t(t)
"""
TEAMS_SQL: Final = """
    insert into teams by name
    select tenant, format('team-{:02d}', hash(tenant) % $teams) as team from tenants
"""
STANDINGS_SQL: Final = """
    insert into standings by name
    select
        $now::timestamptz as "at", tenant, l.l as "limit", 10000 as value, 9000 as recommended,
        case when hash(tenant, l.l) % 7 = 0 then 9500 end as proposed,
        (hash(tenant, l.l) % 1000) / 1000.0 as utilisation,
        (hash(tenant, l.l, 1) % 1000) / 10000.0 as hit_probability, 1 as hit_days,
        case hash(tenant, l.l) % 4
            when 0 then 'critical' when 1 then 'warning' else 'ok'
        end as severity,
        'fits' as provision
    from tenants, (select unnest($limits) as l) l
"""
DECISIONS_SQL: Final = """
    insert into decisions by name
    select
        $since::timestamptz + interval '4 days' * d.d as "at", tenant, l.l as "limit",
        case when d.d = 2 then 'lower' else 'raise' end as outcome, 'above_dead_band' as reason,
        'demand 8,567/s, rounded' as detail, 10000 + 100 * d.d as before,
        10100 + 100 * d.d as after, '[]' as steps, 'r' as run_id, 'optimize' as flow
    from tenants, (select unnest($limits) as l) l, range(1, 4) d(d)
    order by "at", tenant, "limit"
"""
# One every ten minutes, each of twenty limits.
REVISIONS_SQL: Final = """
    insert into revisions ("at", actor, sink, document, sha256, changes, outcome)
    select
        $since::timestamptz + interval '10 minutes' * r.r, 'optimizer', 'file', '', r.r::varchar,
        (
            select to_json(list({
                'tenant': format('tenant-{:05d}', (r.r * 20 + n.n) % $tenants),
                'limit': 'ingestion_rate', 'before': 10000, 'after': 10000 + n.n,
                'decided_by': 'optimized', 'reason': 'above_dead_band'
            })) from range(20) n(n)
        ),
        'confirmed'
    from range($hours * 6) r(r)
"""
TURNS_SQL: Final = """
    insert into breaker_turns by name
    select
        $since::timestamptz + interval '2 days' * d.d as "at", tenant,
        case when d.d % 2 = 1 then 'closed' else 'open' end as before,
        case when d.d % 2 = 1 then 'open' else 'closed' end as after,
        'ingestion' as kinds, 'far more than usual' as because, '{}' as evidence
    from tenants, range(1, 5) d(d)
    where hash(tenant) % 20 = 0
"""
COSTS_SQL: Final = """
    insert into costs by name
    select
        $since::timestamptz + interval '1 hour' * h.h as "at", tenant, 'samples' as method,
        (1 + hash(tenant) % 100) / 1000.0 as amount, (1 + hash(tenant) % 100) / 1000.0
        as samples_amount, 'USD' as currency, 3600 as covered_seconds
    from range($hours) h(h), tenants
    order by "at", tenant
"""
SAVINGS_SQL: Final = """
    insert into savings by name
    select
        $now::timestamptz as "at", $now::timestamptz as since, 'unused_quota' as kind, tenant,
        'ingestion_rate' as "limit", 'USD' as currency, 12.5 as exposure, 0 as realised,
        'the limit is far above its peak' as because, 'mlo pin …' as command
    from tenants
"""


def fill(database: Database, *, tenants: int) -> None:
    """A fortnight up to NOW."""
    cursor = database.cursor()
    hours = DAYS * 24
    given: dict[str, object] = {
        "since": SINCE,
        "now": NOW,
        "tenants": tenants,
        "hours": hours,
        "limits": LIMITS,
        "teams": TEAMS,
    }
    for day in range(DAYS):
        asked = {"tenants": tenants, "signals": [*SIGNALS, SAMPLES_ASKED], "hours": 24}
        cursor.execute(HOURS, {"day": SINCE + timedelta(days=day), **asked})
    for statement in (
        TENANTS_SQL,
        TEAMS_SQL,
        STANDINGS_SQL,
        DECISIONS_SQL,
        REVISIONS_SQL,
        TURNS_SQL,
        COSTS_SQL,
        SAVINGS_SQL,
    ):
        cursor.execute(
            statement, {name: it for name, it in given.items() if f"${name}" in statement}
        )
    checkpoint(database)


def timed(work: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    answer = work()
    return time.perf_counter() - began, answer


def chargeback(database: Database) -> str:
    """The page that charges teams for the same fortnight."""
    asked = Period(start=SINCE, end=NOW)
    return chargeback_page(
        Page(
            asked=asked,
            zone=ZoneInfo("UTC"),
            chargebacks=chargebacks(
                spending.spent(database, [asked], by_team=True),
                idle=spending.idle(database, [asked]),
                shared="none",
            ),
            lists=[],
            method="samples",
            shared="none",
            hours_priced=DAYS * 24,
            made_at=NOW,
        )
    )


def measure(tenants: int, *, path: Path) -> None:
    """Prints one line about a history of so many tenants."""
    settings = Settings()
    with Database.open(str(path), clock=lambda: NOW) as database:
        gathering, found = timed(lambda: gathered(settings, where=database, days=DAYS, now=NOW))
        rendering, html = timed(lambda: report_page(found))
        peak = peak_of_memory()
        charging, peer = timed(lambda: chargeback(database))
    size, other = (len(each.encode()) / 2**20 for each in (html, peer))
    print(
        f"{tenants:>8}{path.stat().st_size / 2**20:>9.0f} MiB{gathering:>9.2f} s{rendering:>9.2f} s"
        f"{gathering + rendering:>9.2f} s{size:>9.2f} MiB{peak:>9.0f} MiB"
        f"{charging:>11.2f} s{other:>9.2f} MiB"
    )


def main(sizes: tuple[int, ...]) -> None:
    print(
        f"{'tenants':>8}{'history':>13}{'gather':>11}{'page':>11}{'report':>11}{'file':>13}"
        f"{'peak':>13}{'chargeback':>13}{'file':>13}"
    )
    here = [sys.executable, "-m", "benchmarks.report"]
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
