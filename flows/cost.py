"""The hourly loop: what every tenant's usage cost."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl
from prefect import flow

from flows.budget_caps import enforce
from flows.budgets import forget_budgets, see_budgets
from flows.cost_alerts import see_alerts
from flows.cost_words import cost_report
from flows.in_force import limits_of
from flows.run_names import run_name
from flows.runtime import Run, Runtime, current
from flows.savings import forget_savings, see_savings
from policy.cost.attribution import OVERFLOW, divided
from policy.cost.bills import bills
from policy.cost.calibration import calibrated
from policy.cost.pricing import priced
from policy.cost.reservation import limits_of_hours, with_reservations
from policy.cost.standing import STATUS
from policy.cost.teams import UNATTRIBUTED, teams_of
from policy.cost.terms import terms_of
from policy.settings import Settings
from policy.settings.cost import CostControl
from policy.signals import INGESTION_RATE, SERIES
from policy.sustained import sustained_for
from storage.costs import costs_between, noted_limits, priced_hours, replace_costs, replace_teams
from storage.reading import known_tenants
from storage.usage import attributed_hours, usage_hours
from tasks.record import rolled_up
from tasks.say import Event, say
from tasks.tell import tell

HOUR: Final = timedelta(hours=1)
LOOKED_BACK: Final = timedelta(hours=48)
"""Hours within it that are measured and not priced are priced; older ones by a backfill."""
DAY: Final = timedelta(hours=24)


@flow(name="cost", timeout_seconds=600, validate_parameters=False, persist_result=False)
async def cost() -> None:
    """Price the complete hours that have no price yet, and tell."""
    runtime = current()
    with runtime.run("cost") as run:
        settings = runtime.settings()
        if not settings.cost_control.enabled:
            await nothing_is_priced(runtime, run, settings)
            await tell("Cost control is off (costControl.enabled).", key="cost", description="Off.")
            return
        await rolled_up(runtime.database, at=runtime.clock(), sustained_for=sustained_for(settings))
        count = price_new_hours(runtime, run, settings)
        note_teams(runtime, settings.cost_control)
        stands = see_budgets(runtime, run, settings.cost_control)
        see_alerts(runtime, run, settings, stands=stands)
        await enforce(runtime, run, settings, status=stands.status)
        found = see_savings(runtime, run, settings, terms=terms_of(settings.cost_control))
        day = last_day(runtime)
        if count:
            total = day["amount"].sum()
            currency = settings.cost_control.global_budget.currency
            priced = f"{count} hours priced, {total:.4f} {currency} in the last 24 h"
            say(
                [
                    Event(
                        component="cost",
                        action="cost_analysis",
                        words=f"cost: cost_analysis: {priced}",
                        details={
                            "hours_priced": count,
                            "last_day": f"{total:f}",
                            "currency": currency,
                        },
                    )
                ]
            )
            say(too_many_teams(runtime))
        await tell(
            cost_report(day, settings=settings.cost_control, budgets=stands.status, savings=found),
            key="cost",
            description="What each tenant cost in the last 24 hours.",
            name=run_name("cost", run.summary),
        )


async def nothing_is_priced(runtime: Runtime, run: Run, settings: Settings) -> None:
    """Without cost control no budget stands, nothing is told, and nothing is capped for money."""
    forget_budgets(runtime)
    forget_savings(runtime, currency=settings.cost_control.global_budget.currency)
    see_alerts(runtime, run, settings, stands=None)
    await enforce(runtime, run, settings, status=STATUS.to_frame())


def price_new_hours(runtime: Runtime, run: Run, settings: Settings) -> int:
    """Price the complete hours of the last days that are measured and not priced; how many."""
    end = _this_hour(runtime)
    start = end - LOOKED_BACK
    done = set(priced_hours(runtime.database, start=start, end=end))
    hours = [start + index * HOUR for index in range((end - start) // HOUR)]
    count = sum(price(runtime, run, settings, start=hour) for hour in hours if hour not in done)
    run.summary["hours_priced"] = count
    return count


def price(
    runtime: Runtime, run: Run, settings: Settings, *, start: datetime, end: datetime | None = None
) -> int:
    """Price the hours within [start, end), one hour by default, anew; how many have usage."""
    until = end or start + HOUR
    usage = usage_hours(runtime.database, start=start, end=until)
    if usage.is_empty():
        return 0
    rules = settings.cost_control
    terms = terms_of(rules)
    billed = bills(terms.book, start=start, end=until, zone=ZoneInfo(rules.time_zone)).filter(
        pl.col("at").is_in(usage["at"].unique().implode())
    )
    costs = with_reservations(
        priced(usage, terms=terms),
        usage=usage,
        limits=limits_of_the_hours(runtime, usage),
        terms=terms,
    )
    charged = calibrated(costs, bills=billed, book=terms.book)
    attributed = attributed_hours(runtime.database, start=start, end=until)
    replace_costs(
        runtime.database,
        charged,
        bills=billed,
        teams=divided(charged, usage=usage, attributed=attributed, terms=terms),
        start=start,
        end=until,
        run_id=run.run_id,
    )
    return usage["at"].n_unique()


def limits_of_the_hours(runtime: Runtime, usage: pl.DataFrame) -> pl.DataFrame:
    """RESERVED of the hours in the usage: as they were noted, of the newest those in force now.

    What was in force in an older hour that nobody noted is not known.
    """
    start, end = usage["at"].min(), usage["at"].max()
    noted = noted_limits(runtime.database, start=start, end=end + HOUR)  # type: ignore[operator,arg-type]
    fresh = usage.filter(pl.col("at") >= _this_hour(runtime) - HOUR)
    in_force = limits_of(runtime, fresh["tenant"].unique(), (INGESTION_RATE, SERIES))
    now = limits_of_hours(in_force, hours=fresh["at"])
    return pl.concat([noted, now.join(noted, on=["at", "tenant"], how="anti")])


def too_many_teams(runtime: Runtime) -> list[str]:
    """A line where tenants had more teams in the newest hour than Mimir tells apart."""
    end = _this_hour(runtime)
    parts = attributed_hours(runtime.database, start=end - HOUR, end=end)
    found = parts.filter(pl.col("signal").str.ends_with(f":{OVERFLOW}"))["tenant"].unique().sort()
    if found.is_empty():
        return []
    names = ", ".join(found)
    why = "they have more values of the label than max_cost_attribution_cardinality allows"
    return [f"cost: a part of {names} is {UNATTRIBUTED}: {why}"]


def note_teams(runtime: Runtime, rules: CostControl) -> None:
    """Store which team each known tenant belongs to."""
    tenants = pl.Series(known_tenants(runtime.database), dtype=pl.String())
    patterns = {name: team.tenants for name, team in rules.team_budgets.items()}
    replace_teams(runtime.database, teams_of(tenants, patterns=patterns))


def last_day(runtime: Runtime) -> pl.DataFrame:
    """Columns tenant, amount, covered_hours, unknown of the last 24 complete hours, dearest first.

    What has no price has no amount.
    """
    end = _this_hour(runtime)
    found = costs_between(runtime.database, start=end - DAY, end=end)
    return (
        found.group_by("tenant")
        .agg(
            amount=pl.when(pl.col("amount").count() > 0).then(pl.col("amount").sum()),
            covered_hours=pl.col("covered_seconds").sum() / HOUR.total_seconds(),
            unknown=pl.col("unknown").replace("", None).drop_nulls().unique().sort().str.join(","),
        )
        .sort("amount", "tenant", descending=[True, False], nulls_last=True)
    )


def _this_hour(runtime: Runtime) -> datetime:
    return runtime.clock().replace(minute=0, second=0, microsecond=0)
