"""What could be saved, by how limits stand and what tenants do; stored by each run of `cost`."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

from flows.auditing import note
from flows.runtime import Run, Runtime
from policy.activity import SEEN, states
from policy.cost.advice import Past
from policy.cost.pricing import Terms
from policy.cost.realised import followed
from policy.cost.recommendation import SAVINGS, month_of
from policy.cost.savings import Evidence, savings
from policy.settings import Settings
from policy.tenancy import tiers
from policy.tuned import bounds_of
from storage.incidents import newest_incidents
from storage.savings import (
    churn,
    note_followed,
    reach_of_queries,
    realise,
    replace_savings,
    sent_twice,
)
from storage.standings import read_standings
from storage.tenants import activity
from tasks.cost_entries import savings_found

WEEK: Final = timedelta(days=7)
DAY: Final = timedelta(days=1)
QUARTER: Final = timedelta(days=90)


def see_savings(runtime: Runtime, run: Run, settings: Settings, *, terms: Terms) -> pl.DataFrame:
    """SAVINGS of now; none without `costOptimization`."""
    database, now = runtime.database, runtime.clock()
    found, known = pl.DataFrame(schema=SAVINGS), None
    if settings.cost_control.cost_optimization:
        known = evidence(runtime, settings, terms=terms)
        found = savings(known)
    keys = ["kind", "tenant", "limit"]
    with database.transaction():
        before = replace_savings(database, found, currency=terms.book.currency, at=now)
        if known is not None:
            done = followed(
                before,
                found,
                standings=known.standings,
                known=known.states.filter(state=SEEN).select("tenant"),
                month_of=known.month_of,
            )
            note_followed(database, done, currency=terms.book.currency, at=now)
            realise(database, now=now)
        news = found.join(before, on=keys, how="anti", nulls_equal=True)
        if not news.is_empty() and not _told_lately(runtime):
            entry = savings_found(news, currency=terms.book.currency, run_id=run.run_id, at=now)
            note(runtime, settings, [entry])
    for kind, count in news.group_by("kind").len().iter_rows():
        runtime.telemetry.savings.labels(kind).inc(count)
    run.summary["savings"] = found.height
    return found


def evidence(runtime: Runtime, settings: Settings, *, terms: Terms) -> Evidence:
    """What is known of everybody's limits, use and queries."""
    database, now = runtime.database, runtime.clock()
    standings = read_standings(database)
    tiers_ = settings.limits.tenant_tiers
    return Evidence(
        standings=standings,
        states=states(
            activity(database),
            inactive_after=settings.tenant_scoping.inactive_after,
            gone_after=settings.tenant_scoping.gone_after,
        ),
        churn=churn(database, since=now - WEEK),
        past=Past(
            twice=sent_twice(database, since=now - WEEK),
            reach=reach_of_queries(database, since=now - QUARTER, now=now),
            retention=settings.cost_control.retention,
        ),
        floors=bounds_of(settings.limits).minimum,
        tiers=tiers(standings["tenant"].unique(), mapping=settings.tenant_tier_mapping),
        limits_of_tiers={name: dict(tier.limits) for name, tier in tiers_.items()},
        month_of=month_of(terms),
    )


def _told_lately(runtime: Runtime) -> bool:
    """Limits move all day long; nobody wants to hear of it more than once in it."""
    known = newest_incidents(runtime.database, ["savings"]).get("savings")
    return known is not None and runtime.clock() - known.newest_at < DAY


def forget_savings(runtime: Runtime, *, currency: str) -> None:
    """Nothing is recommended any more."""
    empty = pl.DataFrame(schema=SAVINGS)
    replace_savings(runtime.database, empty, currency=currency, at=runtime.clock())
