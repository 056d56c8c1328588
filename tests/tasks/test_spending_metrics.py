"""The metrics of what is spent, as Prometheus would scrape them."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
from prometheus_client import CollectorRegistry, generate_latest

from policy.cost.standing import SO_FAR, STATUS
from tasks.spending import MOST_TENANTS, Spending


def shown(*, used: dict[str, float | None], spent: dict[str, str]) -> list[str]:
    """The lines after a run, of tenants by name; one team and everybody beside them."""
    budgets = [("tenant", name, share) for name, share in used.items()]
    status = pl.DataFrame(
        [
            {"scope": scope, "name": name, "unit": "month", "used": share}
            for scope, name, share in [*budgets, ("team", "blue", 0.0), ("global", "all", 0.5)]
        ],
        schema=STATUS,
    )
    amounts = pl.DataFrame(
        [("tenant", name, "day", "USD", Decimal(amount)) for name, amount in spent.items()],
        schema=SO_FAR,
        orient="row",
    )
    registry = CollectorRegistry()
    spending = Spending(prefix="p")
    registry.register(spending)
    spending.show(status, spent=amounts)
    text = generate_latest(registry).decode()
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_of_very_many_tenants_only_those_that_used_most_are_labels() -> None:
    shares: dict[str, float | None] = {f"t{n:03}": n / 100 for n in range(300)}

    lines = shown(used=shares, spent={name: str(share) for name, share in shares.items()})

    told = [line for line in lines if 'scope="tenant"' in line]
    assert len(told) == 2 * MOST_TENANTS
    assert 'p_budget_usage_ratio{name="t299",period="month",scope="tenant"} 2.99' in told
    assert 'p_cost_current{currency="USD",name="t299",period="day",scope="tenant"} 2.99' in told
    assert 'p_budget_usage_ratio{name="blue",period="month",scope="team"} 0.0' in lines
    assert 'p_budget_usage_ratio{name="all",period="month",scope="global"} 0.5' in lines


def test_what_is_not_known_has_no_series() -> None:
    lines = shown(used={"acme": None}, spent={})

    assert not [line for line in lines if "acme" in line]
