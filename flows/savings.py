"""What could be saved, by how limits stand and what tenants do; stored by each run of `cost`."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

from flows.auditing import note
from flows.runtime import Run, Runtime
from policy.activity import states
from policy.cost.pricing import Terms
from policy.cost.savings import SAVINGS, Evidence, month_of, savings
from policy.settings import Settings
from policy.tuned import bounds_of
from storage.incidents import newest_incidents
from storage.savings import churn, replace_savings
from storage.standings import read_standings
from storage.tenants import activity
from tasks.cost_entries import savings_found

WEEK: Final = timedelta(days=7)
DAY: Final = timedelta(days=1)


def see_savings(runtime: Runtime, run: Run, settings: Settings, *, terms: Terms) -> pl.DataFrame:
    """SAVINGS of now; none without `costOptimization`."""
    database, now = runtime.database, runtime.clock()
    found = pl.DataFrame(schema=SAVINGS)
    if settings.cost_control.cost_optimization:
        evidence = Evidence(
            standings=read_standings(database),
            states=states(
                activity(database),
                inactive_after=settings.tenant_scoping.inactive_after,
                gone_after=settings.tenant_scoping.gone_after,
            ),
            churn=churn(database, since=now - WEEK),
            floors=bounds_of(settings.limits).minimum,
            month_of=month_of(terms),
        )
        found = savings(evidence)
    keys = ["kind", "tenant", "limit"]
    with database.transaction():
        before = replace_savings(database, found, currency=terms.book.currency, at=now)
        news = found.join(before, on=keys, how="anti", nulls_equal=True)
        if not news.is_empty() and not _told_lately(runtime):
            entry = savings_found(news, currency=terms.book.currency, run_id=run.run_id, at=now)
            note(runtime, settings, [entry])
    for kind, count in news.group_by("kind").len().iter_rows():
        runtime.telemetry.savings.labels(kind).inc(count)
    run.summary["savings"] = found.height
    return found


def _told_lately(runtime: Runtime) -> bool:
    """Limits move all day long; nobody wants to hear of it more than once in it."""
    known = newest_incidents(runtime.database, ["savings"]).get("savings")
    return known is not None and runtime.clock() - known.newest_at < DAY


def forget_savings(runtime: Runtime, *, currency: str) -> None:
    """Nothing is recommended any more."""
    empty = pl.DataFrame(schema=SAVINGS)
    replace_savings(runtime.database, empty, currency=currency, at=runtime.clock())
