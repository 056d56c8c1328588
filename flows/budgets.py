"""How budgets stand once an hour is priced: what is spent, what it will come to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from flows.runtime import Run, Runtime
from policy.cost.budgets import budgets
from policy.cost.forecast import HISTORY_DAYS, forecasts
from policy.cost.periods import Period, period, pieces
from policy.cost.standing import SO_FAR, STATUS, so_far, spending, status
from policy.settings.cost import CostControl
from storage.budgets import STANDING, replace_budgets
from storage.reading import known_tenants
from storage.spending import charged

DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """How budgets stand.

    Attributes:
        status: STATUS of each.
        forecasts: FORECASTS of each.
        charged: CHARGED of the days that were asked for.
        spent: SPENDING of the scopes with a budget.
        days: DAYS of them, the last of which is today.
    """

    status: pl.DataFrame
    forecasts: pl.DataFrame
    charged: pl.DataFrame
    spent: pl.DataFrame
    days: pl.DataFrame


def see_budgets(runtime: Runtime, run: Run, rules: CostControl) -> Standing:
    """Say how each budget stands now, and store it."""
    now, zone = runtime.clock(), ZoneInfo(rules.time_zone)
    tenants = pl.Series(known_tenants(runtime.database), dtype=pl.String())
    wanted = budgets(rules, tenants=tenants)
    amounts, days = charged(
        runtime.database,
        _asked(now=now, zone=zone),
        currency=rules.global_budget.currency,
    )
    spent = spending(amounts, days=days, wanted=wanted)
    stands = status(
        wanted,
        spent=spent,
        days=days,
        currency=rules.global_budget.currency,
        now=now,
        zone=zone,
    )
    ahead = forecasts(stands, spent=spent, days=days, now=now, zone=zone)
    keys = ["scope", "name", "unit"]
    replace_budgets(
        runtime.database, stands.join(ahead, on=keys, how="left", maintain_order="left"), at=now
    )
    spent_so_far = so_far(
        amounts, days=days, currency=rules.global_budget.currency, now=now, zone=zone
    )
    runtime.telemetry.spending.show(stands, spent=spent_so_far)
    run.summary["budgets"] = stands.height
    run.summary["over_budget"] = stands.filter(pl.col("used") >= 1).height
    return Standing(status=stands, forecasts=ahead, charged=amounts, spent=spent, days=days)


def forget_budgets(runtime: Runtime) -> None:
    """No budget stands any more."""
    replace_budgets(runtime.database, STANDING.to_frame(), at=runtime.clock())
    runtime.telemetry.spending.show(STATUS.to_frame(), spent=SO_FAR.to_frame())


def _asked(*, now: datetime, zone: ZoneInfo) -> list[Period]:
    """The days that budgets and forecasts ask for, up to the end of today."""
    year = period("year", at=now, zone=zone)
    week = period("week", at=now, zone=zone)
    history = period("day", at=now - HISTORY_DAYS * DAY, zone=zone)
    start = min(year.start, week.start, history.start)
    return pieces(
        Period(start=start, end=period("day", at=now, zone=zone).end), unit="day", zone=zone
    )
