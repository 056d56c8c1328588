"""What a run of `cost` has to say."""

from __future__ import annotations

from decimal import Decimal

import polars as pl

from policy.figures import figure
from policy.settings.cost import CostControl
from tasks.tell import table


def cost_report(costs: pl.DataFrame, *, settings: CostControl) -> str:
    """The artifact of `cost`: the last day by tenant.

    Args:
        costs: tenant, amount, covered_hours, unknown; dearest first.
        settings: how they were priced.
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
        ]
    )


def money(amount: Decimal | None) -> str:
    """`12.3400`, or `unknown`."""
    return "unknown" if amount is None else f"{amount:,.4f}"
