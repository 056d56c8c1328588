"""What a run of `cost` has to say."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import polars as pl

from policy.figures import figure
from policy.settings.cost import CostControl
from tasks.tell import table

MOST_ROWS: Final = 30


def cost_report(
    costs: pl.DataFrame, *, settings: CostControl, budgets: pl.DataFrame, savings: pl.DataFrame
) -> str:
    """The artifact of `cost`: the last day by tenant, the fullest budgets, what could be saved.

    Args:
        costs: tenant, amount, covered_hours, unknown; dearest first.
        settings: how they were priced.
        budgets: STATUS of each budget, the fullest first.
        savings: SAVINGS.
    """
    currency, method = settings.global_budget.currency, settings.cost_method
    if costs.is_empty():
        return f"# Cost\n\nNo complete hour was measured yet. Method: {method}."
    rows = [
        (tenant, money(amount), figure(hours), unknown or "")
        for tenant, amount, hours, unknown in costs.select(
            "tenant", "amount", "covered_hours", "unknown"
        ).iter_rows()
    ]
    total = sum(costs["amount"].drop_nulls(), Decimal(0))
    return "\n\n".join(
        [
            f"# Cost: {money(total)} {currency} in the last 24 h",
            f"Method: {method}.",
            table(["tenant", currency, "hours measured", "not priced"], rows),
            *_budgets(budgets, currency=currency),
            *_savings(savings, currency=currency),
        ]
    )


def _budgets(budgets: pl.DataFrame, *, currency: str) -> Iterator[str]:
    if budgets.is_empty():
        return
    rows = [
        (scope, name, unit, money(budget), money(spent), _percent(used), _percent(passed))
        for scope, name, unit, budget, spent, used, passed in budgets.head(MOST_ROWS)
        .select("scope", "name", "unit", "budget", "spent", "used", "passed")
        .iter_rows()
    ]
    yield f"## The fullest of {budgets.height:,} budgets, in {currency}"
    yield table(["scope", "name", "period", "budget", "spent", "used", "time over"], rows)


def _savings(savings: pl.DataFrame, *, currency: str) -> Iterator[str]:
    if savings.is_empty():
        return
    rows = [
        (kind, tenant, money(exposure), money(avoided), money(realised), because, command)
        for kind, tenant, exposure, avoided, realised, because, command in savings.head(MOST_ROWS)
        .select("kind", "tenant", "exposure", "avoided", "realised", "because", "command")
        .iter_rows()
    ]
    yield f"## {savings.height:,} recommendations, in {currency} a month"
    heads = ["kind", "tenant", "exposure cut", "avoided", "realised", "why", "do"]
    yield table(heads, rows)


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.1%}"


def money(amount: Decimal | None) -> str:
    """`12.3400`, or `unknown`."""
    return "unknown" if amount is None else f"{amount:,.4f}"
