"""What could be saved, by how limits stand and what tenants do; stored by each run of `cost`."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

from flows.runtime import Run, Runtime
from policy.activity import states
from policy.cost.pricing import Terms
from policy.cost.savings import SAVINGS, Evidence, month_of, savings
from policy.settings import Settings
from policy.tuned import bounds_of
from storage.savings import churn, replace_savings
from storage.standings import read_standings
from storage.tenants import activity

WEEK: Final = timedelta(days=7)


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
    before = replace_savings(database, found, currency=terms.book.currency, at=now)
    keys = ["kind", "tenant", "limit"]
    news = found.join(before, on=keys, how="anti", nulls_equal=True)
    for kind, count in news.group_by("kind").len().iter_rows():
        runtime.telemetry.savings.labels(kind).inc(count)
    run.summary["savings"] = found.height
    return found


def forget_savings(runtime: Runtime, *, currency: str) -> None:
    """Nothing is recommended any more."""
    empty = pl.DataFrame(schema=SAVINGS)
    replace_savings(runtime.database, empty, currency=currency, at=runtime.clock())
