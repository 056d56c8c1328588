"""What usage costs, and what it may cost: prices, budgets, and whether budgets bite."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from policy.settings.section import Section
from policy.settings.values import (
    Allowance,
    Faults,
    Money,
    Name,
    Percent,
    PositiveDuration,
)

_METHODS = {"sample": "samples", "series": "series", "query": "queries"}


Weight = Annotated[Decimal, Field(ge=0, le=1)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]


def known_zone(name: str) -> str:
    """The name of a time zone.

    Raises:
        ValueError: the database of time zones has none of that name.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone; write it like Europe/Berlin") from None
    return name


def _method(value: object) -> object:
    if not isinstance(value, str):
        return value
    written = value.strip().lower().removesuffix("-based")
    return _METHODS.get(written, written)


class Budget(Section):
    """What may be spent in a period; a period without an amount has no budget."""

    also_spelled: ClassVar[Mapping[str, str]] = {"amount": "monthly"}

    enabled: bool = True
    daily: Allowance | None = None
    weekly: Allowance | None = None
    monthly: Allowance | None = None
    annual: Allowance | None = None
    currency: Currency = "USD"
    enforce_budget: bool = False

    @model_validator(mode="after")
    def _longer_periods_allow_more(self) -> Self:
        set_ = [(name, getattr(self, name)) for name in ("daily", "weekly", "monthly", "annual")]
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


class Prices(Section):
    """What things cost from a day on, until the next list; what has no price is not priced."""

    also_spelled: ClassVar[Mapping[str, str]] = {"since": "from", "validFrom": "from"}

    since: Annotated[date, Field(alias="from")]
    per_million_samples: Money | None = None
    per_thousand_series_hours: Money | None = None
    per_query: Money | None = None
    per_query_second: Money | None = None
    per_gb_month: Money | None = None
    per_core_hour: Money | None = None
    per_memory_gb_hour: Money | None = None
    per_disk_gb_month: Money | None = None
    monthly_bill: Money | None = None
    """What all of the cluster costs a month; with it, what nobody used is shown as idle."""
    calibrate: bool = False
    """Whether tenants are charged the whole bill, in the proportion of what the list says."""
    currency: Currency | None = None

    @model_validator(mode="after")
    def _calibrates_to_a_bill(self) -> Self:
        if self.calibrate and not self.monthly_bill:
            raise Faults({"calibrate": "needs a monthlyBill above 0 in the same list"})
        return self


class Weights(Section):
    """How much of each component the composite counts."""

    samples: Weight = Decimal("0.4")
    series: Weight = Decimal("0.4")
    queries: Weight = Decimal("0.2")
    storage: Weight = Decimal(0)


class Attribution(Section):
    """Which label of series tells the team, where a tenant is shared by several."""

    label: Annotated[str, Field(pattern="^[a-zA-Z_][a-zA-Z0-9_]*$")] | None = None
    path: Annotated[str, Field(pattern="^/")] = "/usage-metrics"
    """Where each process tells it: `-cost-attribution.registry-path` of Mimir."""
    most_teams: Annotated[int, Field(ge=1, le=500)] = 50


class CostControl(Section):
    """Prices, budgets and their enforcement. Only autoLimitReduction lets a budget bite."""

    enabled: bool = True
    cost_method: Annotated[
        Literal["samples", "series", "queries", "composite", "resource"], BeforeValidator(_method)
    ] = "composite"
    cost_per_unit: Money = Decimal("0.001")
    """Price of a million samples while `prices` has no list, in the global budget's currency."""
    prices: tuple[Prices, ...] = ()
    weights: Weights = Weights()
    retention: PositiveDuration | None = None
    """How long Mimir keeps blocks; without it nobody knows what is stored."""
    replication_factor: Annotated[float, Field(ge=1)] = 3.0
    time_zone: Annotated[str, AfterValidator(known_zone)] = "UTC"
    service_provider: Name = "internal"
    """Who charges, in exports for other programs."""
    billing_account: Name = "mimir"
    """What is charged: the cluster, where a program knows several."""
    global_budget: Budget = Budget()
    tenant_budgets: dict[str, Budget] = Field(default_factory=dict)
    per_tenant_budgets: Budget = Budget()
    """The budget of every tenant that tenantBudgets does not name."""
    team_budgets: dict[str, TeamBudget] = Field(default_factory=dict)
    attribution: Attribution = Attribution()
    alert_thresholds: tuple[Percent, ...] = (50.0, 75.0, 90.0, 95.0)
    auto_limit_reduction: bool = False
    budget_alerts: bool = True
    cost_optimization: bool = True

    @model_validator(mode="after")
    def _lists_follow_each_other(self) -> Self:
        faults = {
            f"prices[{number}].from": (
                f"{list_.since} begins another list already; keep one"
                if list_.since == before.since
                else f"{list_.since} is before {before.since} of the list above it; write the "
                "older list first"
            )
            for number, (before, list_) in enumerate(pairwise(self.prices), start=1)
            if list_.since <= before.since
        }
        if faults:
            raise Faults(faults)
        return self

    @model_validator(mode="after")
    def _one_currency(self) -> Self:
        own = self.global_budget.currency
        others: dict[str, Prices | Budget] = {
            **{f"prices[{number}]": each for number, each in enumerate(self.prices)},
            **{f"tenantBudgets.{name}": each for name, each in self.tenant_budgets.items()},
            **{f"teamBudgets.{name}": each for name, each in self.team_budgets.items()},
            "perTenantBudgets": self.per_tenant_budgets,
        }
        faults = {
            f"{key}.currency": f"is {each.currency}, and globalBudget.currency, which holds for "
            f"all prices and budgets, is {own}"
            for key, each in others.items()
            if each.currency not in {None, own} and "currency" in each.model_fields_set
        }
        if faults:
            raise Faults(faults)
        return self

    @model_validator(mode="after")
    def _thresholds_ascend(self) -> Self:
        if any(later <= earlier for earlier, later in pairwise(self.alert_thresholds)):
            raise Faults({"alertThresholds": "must rise from each to the next"})
        return self
