"""What usage costs, and what it may cost: prices, budgets, and whether budgets bite."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from policy.settings.section import Section
from policy.settings.values import Faults, Money, Percent

_METHODS = {"sample": "samples", "series": "series", "query": "queries"}


def _method(value: object) -> object:
    if not isinstance(value, str):
        return value
    written = value.strip().lower().removesuffix("-based")
    return _METHODS.get(written, written)


class Budget(Section):
    """What may be spent in a period; a period without an amount has no budget."""

    also_spelled: ClassVar[Mapping[str, str]] = {"amount": "monthly"}

    enabled: bool = True
    daily: Money | None = None
    monthly: Money | None = None
    annual: Money | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    enforce_budget: bool = False

    @model_validator(mode="after")
    def _longer_periods_allow_more(self) -> Self:
        set_ = [(name, getattr(self, name)) for name in ("daily", "monthly", "annual")]
        set_ = [(name, amount) for name, amount in set_ if amount is not None]
        faults = {
            longer: f"{more} is below {shorter} {less}"
            for (shorter, less), (longer, more) in pairwise(set_)
            if more < less
        }
        if faults:
            raise Faults(faults)
        return self


class TeamBudget(Budget):
    """A budget that the tenants of a team share; `tenants` are names or patterns."""

    tenants: tuple[str, ...] = ()


class CostControl(Section):
    """Prices, budgets and their enforcement. Only autoLimitReduction lets a budget bite."""

    enabled: bool = True
    cost_method: Annotated[
        Literal["samples", "series", "queries", "composite"], BeforeValidator(_method)
    ] = "composite"
    cost_per_unit: Money = Decimal("0.001")
    """Price of a million samples, in the currency of the global budget."""
    global_budget: Budget = Budget()
    tenant_budgets: dict[str, Budget] = Field(default_factory=dict)
    per_tenant_budgets: Budget = Budget()
    """The budget of every tenant that tenantBudgets does not name."""
    team_budgets: dict[str, TeamBudget] = Field(default_factory=dict)
    alert_thresholds: tuple[Percent, ...] = (50.0, 75.0, 90.0, 95.0)
    auto_limit_reduction: bool = False
    budget_alerts: bool = True
    cost_optimization: bool = True

    @model_validator(mode="after")
    def _thresholds_ascend(self) -> Self:
        if any(later <= earlier for earlier, later in pairwise(self.alert_thresholds)):
            raise Faults({"alertThresholds": "must rise from each to the next"})
        return self
