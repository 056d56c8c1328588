"""The limits themselves: their bounds, their defaults, tiers of tenants, and exceptions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from policy.settings.definitions import (
    LimitDefinition,
    catalogue_with,
    never_sized,
    unknown,
)
from policy.settings.section import Section
from policy.settings.values import (
    Faults,
    LimitName,
    LimitValues,
    Percent,
    checked_limits,
    renamed_limits,
)


class Tier(Section):
    """What a class of tenants gets; without a bufferPercentage, the global one."""

    buffer_percentage: Percent | None = None
    limits: LimitValues = Field(default_factory=dict)

    @classmethod
    def reshaped(cls, tree: object) -> object:
        """The limits under their names in Mimir."""
        return _renamed(tree, "limits")


def _floors() -> dict[str, float]:
    return {"ingestion_rate": 1_000.0, "max_global_series_per_user": 10_000.0}


class Limits(Section):
    """Bounds that hold for every tenant, starting values, tiers, and which limits are touched.

    Without maxLimits nothing is bounded above: an invented ceiling would throttle a tenant
    that is large and well.
    """

    min_limits: LimitValues = Field(default_factory=_floors)
    max_limits: LimitValues = Field(default_factory=dict)
    default_limits: LimitValues = Field(default_factory=dict)
    tenant_tiers: dict[str, Tier] = Field(default_factory=dict)
    definitions: Annotated[dict[str, LimitDefinition], BeforeValidator(checked_limits)] = Field(
        default_factory=dict
    )
    enabled: tuple[LimitName, ...] = ()
    disabled: tuple[LimitName, ...] = ()

    @classmethod
    def reshaped(cls, tree: object) -> object:
        """The limits under their names in Mimir."""
        return _renamed(tree, "minLimits", "maxLimits", "defaultLimits", "definitions")

    @model_validator(mode="after")
    def _definitions_can_be_used(self) -> Self:
        faults = {
            ".".join(filter(None, ("definitions", name, key))): fault
            for name, definition in self.definitions.items()
            for key, fault in definition.faults(name)
        }
        if faults:
            raise Faults(faults)
        return self

    @model_validator(mode="after")
    def _bounds_leave_room(self) -> Self:
        inherited = "" if "min_limits" in self.model_fields_set else " (its default)"
        faults = {
            f"minLimits.{name}": f"{floor:g}{inherited} is above maxLimits.{name} "
            f"{self.max_limits[name]:g}"
            for name, floor in self.min_limits.items()
            if floor > self.max_limits.get(name, floor)
        }
        if faults:
            raise Faults(faults)
        return self

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        # A bound of an unknown limit bounds nothing; a value of one would cost the whole file.
        named: dict[str, Iterable[str]] = {
            f"tenantTiers.{name}.limits": tier.limits for name, tier in self.tenant_tiers.items()
        }
        known = catalogue_with(self.definitions)
        faults = {
            f"{key}.{name}": unknown(name, more=self.definitions)
            for key, names in (named | {"enabled": self.enabled, "disabled": self.disabled}).items()
            for name in names
            if name not in known
        }
        if faults:
            raise Faults(faults)
        return self

    @model_validator(mode="after")
    def _choice_can_be_made(self) -> Self:
        on = {name for name, said in self.definitions.items() if said.enabled is True}
        off = {name for name, said in self.definitions.items() if said.enabled is False}
        faults = {
            f"definitions.{name}.enabled": f"is {told}, and limits.{other} names it; keep one"
            for told, names, other in (
                ("true", on & set(self.disabled), "disabled"),
                ("false", off & set(self.enabled), "enabled"),
            )
            for name in sorted(names)
        }
        if both := sorted(set(self.enabled) & set(self.disabled)):
            faults["disabled"] = f"{', '.join(both)} is in limits.enabled too; keep one"
        known = catalogue_with(self.definitions)
        for key, name in [
            *((f"enabled.{name}", name) for name in self.enabled),
            *((f"definitions.{name}.enabled", name) for name in sorted(on)),
        ]:
            if (why := never_sized(known[name])) and key not in faults:
                faults[key] = why
        if faults:
            raise Faults(faults)
        return self


def _renamed(tree: object, *keys: str) -> object:
    if not isinstance(tree, Mapping):
        return tree
    return {key: renamed_limits(held) if key in keys else held for key, held in tree.items()}
