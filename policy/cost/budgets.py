"""What may be spent, by whom, in which period, and how far that is used.

A budget is of everybody together (`global`), of a team, or of a tenant; each of its periods has
an amount of its own. What is spent by everybody is what tenants are charged, and what idles where a
bill is known. A budget that is not enabled, or a period without an amount, is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal
from zoneinfo import ZoneInfo

import polars as pl

from policy.cost.periods import UNITS, Unit, period
from policy.cost.teams import teams_of
from policy.frames import UTC_TIME
from policy.settings.cost import Budget, CostControl

Scope = Literal["global", "team", "tenant"]
EVERYBODY: Final = "all"
"""The name of the scope `global`, which has only one."""
MONEY: Final = pl.Decimal(38, 9)
_NOTHING: Final = pl.lit(Decimal(0), dtype=MONEY)

# One row per budget and period. `enforced`: it may cap limits.
BUDGETS: Final = pl.Schema(
    {
        "scope": pl.String(),
        "name": pl.String(),
        "unit": pl.String(),
        "budget": MONEY,
        "enforced": pl.Boolean(),
    }
)
# What tenants were charged on a day, by its number. Unknown amounts are null.
CHARGED: Final = pl.Schema(
    {"number": pl.Int64(), "tenant": pl.String(), "team": pl.String(), "amount": MONEY}
)
# The days: `hours` of it that are priced; what idled in them, null where no bill is known.
DAYS: Final = pl.Schema(
    {
        "number": pl.Int64(),
        "starts": UTC_TIME,
        "ends": UTC_TIME,
        "hours": pl.Int64(),
        "idle": MONEY,
    }
)
# What a scope spent on a day; a day without a row cost it nothing.
SPENDING: Final = pl.Schema(
    {"scope": pl.String(), "name": pl.String(), "number": pl.Int64(), "amount": MONEY}
)
# How a budget stands in the running period. `spent`, `left` and `used` (spent of the budget, 0..1
# and above) are null while no hour of the period is priced or nothing of it has a price. `idle` is
# the part of `spent` that nobody used, null where no bill is known or where it is none of the
# scope's. `passed` is the part of the period that is over, 0..1.
STATUS: Final = pl.Schema(
    {
        **BUDGETS,
        "currency": pl.String(),
        "starts": UTC_TIME,
        "ends": UTC_TIME,
        "spent": MONEY,
        "idle": MONEY,
        "left": MONEY,
        "used": pl.Float64(),
        "passed": pl.Float64(),
        "hours": pl.Int64(),
    }
)
_KEYS: Final = ("scope", "name")


def budgets(rules: CostControl, *, tenants: pl.Series) -> pl.DataFrame:
    """BUDGETS of these settings.

    Args:
        rules: whose `tenantBudgets` are names or patterns: a name wins over a pattern, of patterns
            the first. Who none matches has `perTenantBudgets`.
        tenants: who has a budget, if any.
    """
    rows = [*_amounts("global", EVERYBODY, rules.global_budget, rules=rules)]
    for team, of_team in rules.team_budgets.items():
        rows += _amounts("team", team, of_team, rules=rules)
    found = pl.DataFrame(rows, schema=BUDGETS, orient="row")
    named = budget_of(tenants, rules=rules)
    by_key = [
        (key, *row[2:])
        for key, budget in [*rules.tenant_budgets.items(), (None, rules.per_tenant_budgets)]
        for row in _amounts("tenant", key or "", budget, rules=rules)
    ]
    schema = {"key": pl.String(), **{name: BUDGETS[name] for name in BUDGETS.names()[2:]}}
    of_tenants = named.join(
        pl.DataFrame(by_key, schema=schema, orient="row"), on="key", nulls_equal=True
    ).select(pl.lit("tenant").alias("scope"), pl.col("tenant").alias("name"), *list(schema)[1:])
    return pl.concat([found, of_tenants.cast(BUDGETS)]).sort(*_KEYS, maintain_order=True)


def budget_of(tenants: pl.Series, *, rules: CostControl) -> pl.DataFrame:
    """Columns tenant, key: the entry of `tenantBudgets` that is the tenant's, null for none."""
    everybody = pl.DataFrame({"tenant": tenants.unique().sort()}, schema={"tenant": pl.String()})
    keys = teams_of(tenants, patterns={name: (name,) for name in rules.tenant_budgets})
    return everybody.join(keys.rename({"team": "key"}), on="tenant", how="left")


def spending(charged: pl.DataFrame, *, days: pl.DataFrame, wanted: pl.DataFrame) -> pl.DataFrame:
    """SPENDING of the scopes that have a budget.

    Args:
        charged: CHARGED.
        days: DAYS; what idles in them is the scope global's.
        wanted: BUDGETS.
    """
    parts = [
        charged.select(pl.lit("global").alias("scope"), pl.lit(EVERYBODY).alias("name"), *_SPENT),
        days.drop_nulls("idle").select(
            pl.lit("global").alias("scope"),
            pl.lit(EVERYBODY).alias("name"),
            "number",
            pl.col("idle").alias("amount"),
        ),
        charged.select(pl.lit("team").alias("scope"), pl.col("team").alias("name"), *_SPENT),
        charged.select(pl.lit("tenant").alias("scope"), pl.col("tenant").alias("name"), *_SPENT),
    ]
    scopes = wanted.select(_KEYS).unique()
    return (
        pl.concat([part.cast(SPENDING).join(scopes, on=_KEYS, how="semi") for part in parts])
        .group_by(*_KEYS, "number")
        .agg(amount=_known_sum("amount"))
        .select(SPENDING.names())
        .sort(SPENDING.names()[:3])
    )


def status(
    wanted: pl.DataFrame,
    *,
    spent: pl.DataFrame,
    days: pl.DataFrame,
    currency: str,
    now: datetime,
    zone: ZoneInfo,
) -> pl.DataFrame:
    """STATUS of each budget at this moment.

    Args:
        wanted: BUDGETS.
        spent: SPENDING.
        days: DAYS from the beginning of the longest period on.
        currency: of all of it.
        now: aware UTC.
        zone: of days and months.
    """
    running = _running(now=now, zone=zone)
    of_period = days.join(running, how="cross").filter(
        pl.col("starts") >= pl.col("period_starts"), pl.col("starts") < pl.col("period_ends")
    )
    priced = of_period.group_by("unit").agg(
        hours=pl.col("hours").sum(), idle=_known_sum("idle").cast(MONEY)
    )
    sums = (
        spent.join(of_period.select("unit", "number"), on="number")
        .group_by(*_KEYS, "unit")
        .agg(spent=_known_sum("amount").cast(MONEY), known=pl.lit(value=True))
    )
    return (
        wanted.join(running, on="unit")
        .join(priced, on="unit", how="left")
        .join(sums, on=[*_KEYS, "unit"], how="left")
        .with_columns(pl.col("hours").fill_null(0))
        .with_columns(
            spent=pl.when(pl.col("known").is_null() & (pl.col("hours") > 0))
            .then(_NOTHING)
            .otherwise("spent"),
            idle=pl.when(pl.col("scope") == "global").then("idle"),
        )
        .with_columns(
            currency=pl.lit(currency),
            left=pl.col("budget") - pl.col("spent"),
            used=pl.col("spent").cast(pl.Float64) / pl.col("budget").cast(pl.Float64),
            starts="period_starts",
            ends="period_ends",
        )
        .select(STATUS.names())
        .cast(STATUS)
        .sort("used", *_KEYS, "unit", descending=[True, False, False, False], nulls_last=True)
    )


_SPENT: Final = ("number", "amount")


def _amounts(
    scope: Scope, name: str, budget: Budget, *, rules: CostControl
) -> Iterator[tuple[object, ...]]:
    if not budget.enabled:
        return
    amounts: Mapping[Unit, Decimal | None] = {
        "day": budget.daily,
        "week": budget.weekly,
        "month": budget.monthly,
        "year": budget.annual,
    }
    enforced = rules.auto_limit_reduction and budget.enforce_budget
    for unit, amount in amounts.items():
        if amount is not None:
            yield scope, name, unit, amount, enforced


def _running(*, now: datetime, zone: ZoneInfo) -> pl.DataFrame:
    """unit, period_starts, period_ends, passed of the periods that the moment is in."""
    found = [(unit, period(unit, at=now, zone=zone)) for unit in UNITS]
    return pl.DataFrame(
        [(unit, each.start, each.end, each.passed(now)) for unit, each in found],
        schema={
            "unit": pl.String(),
            "period_starts": UTC_TIME,
            "period_ends": UTC_TIME,
            "passed": pl.Float64(),
        },
        orient="row",
    )


def _known_sum(column: str) -> pl.Expr:
    """The sum of what is known; null where nothing is."""
    return pl.when(pl.col(column).count() > 0).then(pl.col(column).sum())
