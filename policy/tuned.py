"""Which limits are sized, from which signal, and by which rules: the catalogue and the settings.

Of itself only a limit of class `auto` is sized, and only where its demand is measured; a `guarded`
one when the operator names it; a `manual` or `destructive` one never. Everything here follows
from the settings alone, so a limit is added by configuration and not by code.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from policy.catalogue import Catalogue, unlimited_at_zero
from policy.layers import Bounds
from policy.rules import Rules
from policy.settings import Settings
from policy.settings.definitions import catalogue_with, never_sized
from policy.settings.limits import Limits


def catalogue_of(limits: Limits) -> Catalogue:
    """The built-in catalogue with what the settings change and add."""
    return catalogue_with(limits.definitions)


def tuned(limits: Limits, *, known: Collection[str] | None = None) -> dict[str, str]:
    """The limits that are sized, each with the signal that its demand is read from.

    Args:
        limits: the settings of the limits.
        known: the names that every running Mimir knows; None does not ask.

    Returns:
        limit -> signal, sorted by limit.
    """
    definitions = limits.definitions
    on = {*limits.enabled, *(name for name, said in definitions.items() if said.enabled)}
    off = {*limits.disabled, *(name for name, said in definitions.items() if said.enabled is False)}
    return {
        name: limit.signal
        for name, limit in catalogue_of(limits).items()
        if limit.signal is not None
        and never_sized(limit) is None
        and (limit.automation == "auto" or name in on)
        and name not in off
        and (known is None or name in known)
    }


def bounds_of(limits: Limits) -> Bounds:
    """The hard bounds of what is published; a limit's own definition wins over the common maps."""
    definitions = limits.definitions.items()
    return Bounds(
        minimum=limits.min_limits
        | {name: said.min for name, said in definitions if said.min is not None},
        maximum=limits.max_limits
        | {name: said.max for name, said in definitions if said.max is not None},
        endless=unlimited_at_zero(catalogue_of(limits)),
    )


def rules_of(settings: Settings, *, members: pl.DataFrame, limits: Collection[str]) -> Rules:
    """The rules by which these limits are sized.

    Args:
        settings: all of them.
        members: tenant, tier (null where it has none).
        limits: which limits, see `tuned`.

    Raises:
        ConfigError: the settings contradict each other.
    """
    tiers = settings.limits.tenant_tiers.items()
    percent = {
        name: tier.buffer_percentage for name, tier in tiers if tier.buffer_percentage is not None
    }
    buffered = members.filter(pl.col("tier").is_in(list(percent)))
    definitions = settings.limits.definitions.items()
    bounds = bounds_of(settings.limits)
    movement = settings.movement
    return Rules(
        buffer_percentage=settings.buffer_percentage,
        buffer_by_tenant={tenant: percent[tier] for tenant, tier in buffered.iter_rows()},
        buffer_by_limit={
            name: said.buffer_percentage
            for name, said in definitions
            if said.buffer_percentage is not None
        },
        min_limits=bounds.minimum,
        max_limits=bounds.maximum,
        default_limits=settings.limits.default_limits
        | {name: said.default for name, said in definitions if said.default is not None},
        min_history=settings.trend_analysis.min_history,
        raise_band=movement.raise_band / 100,
        lower_band=movement.lower_band / 100,
        max_raise_step=movement.max_raise_step / 100,
        max_lower_step=movement.max_lower_step / 100,
        lower_cooldown=movement.lower_cooldown,
        quiet_before_lowering=movement.quiet_before_lowering,
        min_confidence=movement.min_confidence / 100,
        agreeing_runs=movement.agreeing_runs,
        max_reversals=movement.max_reversals,
        max_changes=movement.max_changes_per_run,
        max_tenants_share=movement.max_tenants_percent / 100,
        limits=tuple(sorted(limits)),
        catalogue=catalogue_of(settings.limits),
    )
