"""What could be saved, by how limits stand and what tenants do; stored by each run of `cost`."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

import polars as pl

from flows.auditing import note
from flows.runtime import Run, Runtime
from policy.activity import states
from policy.cost.advice import Past
from policy.cost.periods import Period
from policy.cost.pricing import Terms
from policy.cost.realised import followed, spent_less, undone
from policy.cost.recommendation import KEYS, SAVINGS, month_of, worth_telling
from policy.cost.savings import Evidence, as_it_is, exposed, savings
from policy.cost.tiering import WATCHED_DAYS, moves
from policy.settings import Settings
from policy.tenancy import looked_after, tiers
from policy.tuned import bounds_of, catalogue_of
from storage.incidents import newest_incidents
from storage.savings import (
    churn,
    days_of_followed,
    end_followed,
    note_followed,
    peaks,
    reach_of_queries,
    read_realised,
    replace_savings,
    sent_twice,
    set_spend,
)
from storage.spending import spent
from storage.standings import read_standings
from storage.tenants import activity
from tasks.cost_entries import savings_found

WEEK: Final = timedelta(days=7)
MONTH: Final = timedelta(days=30)
QUARTER: Final = timedelta(days=90)
DAY: Final = timedelta(days=1)


def see_savings(runtime: Runtime, run: Run, settings: Settings, *, terms: Terms) -> pl.DataFrame:
    """SAVINGS of now; none without `costOptimization`."""
    database, currency, now = runtime.database, terms.book.currency, runtime.clock()
    if not settings.cost_control.cost_optimization:
        forget_savings(runtime, currency=currency)
        return pl.DataFrame(schema=SAVINGS)
    known = evidence(runtime, settings, terms=terms)
    found = savings(known)
    with database.transaction():
        before = replace_savings(database, found, currency=currency, at=now)
        news = found.join(before, on=KEYS, how="anti", nulls_equal=True)
        see_followed(runtime, settings, known=known, before=before, found=found, terms=terms)
        large = worth_telling(news, spent=last_month(runtime, currency), exposed=exposed(known))
        if not large.is_empty() and not _told_lately(runtime):
            entry = savings_found(large, currency=currency, run_id=run.run_id, at=now)
            note(runtime, settings, [entry])
    for kind, count in news.group_by("kind").len().iter_rows():
        runtime.telemetry.savings.labels(kind).inc(count)
    run.summary["savings"] = found.height
    return found


def evidence(runtime: Runtime, settings: Settings, *, terms: Terms) -> Evidence:
    """What is known of limits and tenants."""
    database, now = runtime.database, runtime.clock()
    standings, between = read_standings(database), moves(settings)
    known = catalogue_of(settings.limits)
    tenants = looked_after(standings["tenant"].unique().sort(), settings=settings)
    return Evidence(
        standings=standings,
        members=tiers(tenants, mapping=settings.tenant_tier_mapping),
        moves=between,
        peaks=peaks(
            database,
            since=now - WATCHED_DAYS * DAY,
            limits={
                limit: signal
                for limit in between["limit"].unique()
                if (signal := known[limit].signal) is not None
            },
        ),
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
        month_of=month_of(terms),
    )


def see_followed(
    runtime: Runtime,
    settings: Settings,
    *,
    known: Evidence,
    before: pl.DataFrame,
    found: pl.DataFrame,
    terms: Terms,
) -> None:
    """Keep what was followed, what no longer holds of it, and what was spent less since."""
    database, now = runtime.database, runtime.clock()
    is_now = as_it_is(known)
    end_followed(database, undone(read_realised(database), found=found, now=is_now), at=now)
    came = followed(
        before,
        found=found,
        now=is_now,
        band=settings.movement.lower_band / 100,
        month_of=known.month_of,
        at=now,
    )
    note_followed(database, came, currency=terms.book.currency)
    week = days_of_followed(database, now=now)
    set_spend(database, spent_less(read_realised(database), days=week, month_of=known.month_of))


def last_month(runtime: Runtime, currency: str) -> Decimal | None:
    """What was spent in the last 30 days; None where nothing was priced."""
    now = runtime.clock()
    rows = spent(runtime.database, [Period(start=now - MONTH, end=now)])
    amounts = rows.filter(currency=currency)["amount"]
    return sum(amounts.drop_nulls(), Decimal(0)) if amounts.count() else None


def _told_lately(runtime: Runtime) -> bool:
    """Limits move all day long; nobody wants to hear of it more than once in it."""
    known = newest_incidents(runtime.database, ["savings"]).get("savings")
    return known is not None and runtime.clock() - known.newest_at < DAY


def forget_savings(runtime: Runtime, *, currency: str) -> None:
    """Nothing is recommended any more; what was followed stays."""
    empty = pl.DataFrame(schema=SAVINGS)
    replace_savings(runtime.database, empty, currency=currency, at=runtime.clock())
