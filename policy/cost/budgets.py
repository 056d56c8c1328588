"""What may be spent, by whom, in which period.

A budget is of everybody together (`global`), of a team, or of a tenant; each of its periods has
an amount of its own. A budget that is not enabled, or a period without an amount, is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final, Literal

import polars as pl

from policy.cost.periods import Unit
from policy.cost.teams import teams_of
from policy.settings.cost import Budget, CostControl

Scope = Literal["global", "team", "tenant"]
EVERYBODY: Final = "all"
"""The name of the scope `global`, which has only one."""
MONEY: Final = pl.Decimal(38, 9)

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
