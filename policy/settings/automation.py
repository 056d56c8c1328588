"""How much is left to the optimizer: what may change by itself, in which direction, how fast."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from policy.settings.section import Section
from policy.settings.values import Count, Faults, Percent, PositiveDuration

Mode = Literal["observe", "recommend", "canary", "auto", "frozen"]
Directions = Literal["both", "up", "down"]


class AutomationRule(Section):
    """What holds for some tenants and limits; a list that is left out names all of its kind."""

    tenants: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    mode: Mode | None = None
    directions: Directions | None = None
    reason: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.mode is None and self.directions is None:
            raise Faults({"mode": "is missing, and so is directions: the rule says nothing"})
        return self


class Canary(Section):
    """Of the tenants in mode canary a part goes first, and the others when that went well."""

    tenants_percent: Annotated[Percent, Field(gt=0)] = 10.0
    proven_after: PositiveDuration = timedelta(hours=24)


class Automation(Section):
    """Which limits change by themselves. Of several rules that name a limit the first one counts.

    `observe`: decided and stored, shown only to who asks. `recommend`: shown, and left to people.
    `canary`: a part of the tenants first. `auto`: changed. `frozen`: nothing is changed, and that
    is said.
    """

    mode: Mode = "auto"
    directions: Directions = "both"
    rules: tuple[AutomationRule, ...] = ()
    canary: Canary = Field(default_factory=Canary)
    require_backtest: bool = False


class Movement(Section):
    """How a limit moves: far at once upwards, in small and rare steps downwards."""

    raise_band: Percent = 3.0
    lower_band: Annotated[Percent, Field(lt=100)] = 15.0
    max_raise_step: Annotated[float, Field(gt=0)] = 100.0
    max_lower_step: Annotated[Percent, Field(gt=0, lt=100)] = 10.0
    lower_cooldown: PositiveDuration = timedelta(hours=72)
    watch_lowered: PositiveDuration = timedelta(minutes=30)
    quiet_before_lowering: PositiveDuration = timedelta(days=7)
    min_confidence: Percent = 80.0
    agreeing_runs: Annotated[int, Field(ge=1)] = 3
    max_reversals: Annotated[int, Field(ge=0)] = 2
    reversal_window: PositiveDuration = timedelta(days=14)
    max_changes_per_run: Count = 20
    max_tenants_percent: Percent = 10.0
    capacity_percent: Annotated[Percent, Field(gt=0)] = 80.0
