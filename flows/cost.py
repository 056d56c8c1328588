"""The hourly loop: what every tenant's usage cost."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl
from prefect import flow

from flows.runtime import Run, Runtime, current
from flows.words import cost_report
from policy.pricing import METHOD, price_samples
from policy.settings import Settings
from policy.signals import SAMPLES_RECEIVED
from policy.sustained import sustained_for
from storage.costs import costs_between, replace_costs
from storage.samples import usage_between
from tasks.record import rolled_up
from tasks.say import say
from tasks.tell import tell

HOURS_BACK: Final = 24
HOUR: Final = timedelta(hours=1)


@flow(name="cost", timeout_seconds=600, validate_parameters=False, persist_result=False)
async def cost() -> None:
    """Price the complete hours of the last day that have no price yet, and tell."""
    runtime = current()
    with runtime.run("cost") as run:
        settings = runtime.settings()
        if not settings.cost_control.enabled:
            await tell("Cost control is off (costControl.enabled).", key="cost", description="Off.")
            return
        await rolled_up(runtime.database, at=runtime.clock(), sustained_for=sustained_for(settings))
        priced = price_new_hours(runtime, run, settings)
        day = last_day(runtime)
        currency = settings.cost_control.global_budget.currency
        if priced:
            total = day["amount"].sum() if not day.is_empty() else 0
            say([f"cost: {priced} hours priced, {total:.4f} {currency} in the last 24 h"])
        note = f"Priced by accepted samples, {settings.cost_control.cost_per_unit} a million."
        await tell(
            cost_report(day, currency=currency, method_note=note),
            key="cost",
            description="What each tenant cost in the last 24 hours.",
        )


def price_new_hours(runtime: Runtime, run: Run, settings: Settings) -> int:
    """Price the complete hours of the last day that are measured and not priced; how many."""
    end = _this_hour(runtime)
    start = end - HOURS_BACK * HOUR
    done = set(costs_between(runtime.database, start=start, end=end)["at"])
    hours = [start + index * HOUR for index in range(HOURS_BACK)]
    priced = 0
    for hour in hours:
        if hour in done:
            continue
        usage = usage_between(
            runtime.database, signal=SAMPLES_RECEIVED, start=hour, end=hour + HOUR
        )
        if usage.is_empty():
            continue
        costs = price_samples(
            usage,
            hour=hour,
            price_per_million=settings.cost_control.cost_per_unit,
            currency=settings.cost_control.global_budget.currency,
        )
        replace_costs(runtime.database, costs.with_columns(run_id=pl.lit(run.run_id)))
        priced += 1
    run.summary["hours_priced"] = priced
    return priced


def last_day(runtime: Runtime) -> pl.DataFrame:
    """Columns tenant, samples, amount, hours of the last 24 complete hours, dearest first."""
    end = _this_hour(runtime)
    costs = costs_between(runtime.database, start=end - HOURS_BACK * HOUR, end=end)
    return (
        costs.filter(pl.col("method") == METHOD)
        .group_by("tenant")
        .agg(
            samples=pl.col("quantity").sum(),
            amount=pl.col("amount").sum(),
            hours=pl.col("at").n_unique(),
        )
        .sort("amount", "tenant", descending=[True, False])
    )


def _this_hour(runtime: Runtime) -> datetime:
    return runtime.clock().replace(minute=0, second=0, microsecond=0)
