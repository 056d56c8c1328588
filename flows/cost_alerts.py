"""What of costs is told after an hour is priced, and what is over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import polars as pl

from flows.auditing import note
from flows.budgets import Standing
from flows.runtime import Run, Runtime
from policy.cost.alerts import ALL_OF_IT, CONDITIONS, crossings, foreseen, told, turned
from policy.cost.burning import burn_windows, burns, unusual, usual_hours
from policy.cost.standing import spending
from policy.settings import Settings
from storage.budgets import open_alerts, record_alerts
from storage.spending import charged
from tasks.cost_entries import alerts_began, alerts_over
from tasks.say import say

MOST_LINES: Final = 20


def see_alerts(
    runtime: Runtime, run: Run, settings: Settings, *, stands: Standing | None
) -> pl.DataFrame:
    """Tell what began, close what is over; ALERTS that were told.

    Without `budgetAlerts`, or where no budget stands (None), nothing is told but that what was told
    is over: nobody watches it any more.
    """
    now = runtime.clock()
    conditions = CONDITIONS.to_frame()
    if stands is not None and settings.cost_control.budget_alerts:
        conditions = _conditions(runtime, settings, stands)
    turn = turned(conditions, known=open_alerts(runtime.database), now=now)
    news = told(turn.began)
    with runtime.database.transaction():
        record_alerts(runtime.database, began=turn.began, over=turn.over)
        note(runtime, settings, alerts_began(news, run_id=run.run_id, at=now))
        note(runtime, settings, alerts_over(turn.ended, run_id=run.run_id, at=now))
    for scope, unit in (
        turn.began.filter(kind="threshold", threshold=ALL_OF_IT).select("scope", "unit").iter_rows()
    ):
        runtime.telemetry.budget_violations.labels(scope, unit).inc()
    say(_lines(news))
    run.summary["cost_alerts"] = news.height
    return news


def _conditions(runtime: Runtime, settings: Settings, stands: Standing) -> pl.DataFrame:
    rules, now = settings.cost_control, runtime.clock()
    currency = rules.global_budget.currency
    amounts, windows = charged(runtime.database, burn_windows(now), currency=currency)
    burned = spending(amounts, days=windows, wanted=stands.status)
    hourly, hours = charged(runtime.database, usual_hours(now), currency=currency)
    return pl.concat(
        [
            crossings(stands.status, thresholds=rules.alert_thresholds),
            foreseen(stands.status, stands.forecasts),
            burns(stands.status, spent=burned, windows=windows),
            unusual(hourly, hours=hours, currency=currency),
        ]
    )


def _lines(news: pl.DataFrame) -> Iterator[str]:
    worst = pl.col("severity").replace_strict({"critical": 0, "warning": 1, "info": 2})
    ordered = news.sort(worst, "scope", "name")
    for because in ordered["because"].head(MOST_LINES):
        yield f"cost: {because}"
    if news.height > MOST_LINES:
        yield f"cost: and {news.height - MOST_LINES:,} more, see v_cost_alerts"
