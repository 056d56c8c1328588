"""The circuit breaker: what counts as a blast, and how thresholds follow the limits.

`circuitBreaker.thresholds.ingestionMultiplier` and its neighbours are accepted where operators
write them and moved to `autoConfig`, where they belong; so is `autoConfiguration.mode`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Final

from pydantic import Field

from policy.settings.section import Section, fold
from policy.settings.values import (
    BreakerMode,
    Count,
    Headroom,
    Percent,
    PerSecond,
    PositiveDuration,
)

_MOVED: Final = {
    ("thresholds", "ingestionMultiplier"): (
        "autoConfig",
        "limitMultipliers",
        "ingestionRateMultiplier",
    ),
    ("thresholds", "queryMultiplier"): ("autoConfig", "limitMultipliers", "queryRateMultiplier"),
    ("thresholds", "seriesMultiplier"): ("autoConfig", "limitMultipliers", "seriesMultiplier"),
    ("thresholds", "burstMultiplier"): ("autoConfig", "limitMultipliers", "burstMultiplier"),
    ("thresholds", "safetyMargin"): ("autoConfig", "safetyMargins", "defaultMargin"),
    ("autoConfig", "mode"): ("mode",),
    ("perTenantConfig", "enabled"): ("perTenantEnabled",),
}


class LimitMultipliers(Section):
    """A breaker trips at the limit times this."""

    ingestion_rate_multiplier: Headroom = 1.5
    query_rate_multiplier: Headroom = 2.0
    series_multiplier: Headroom = 1.8
    burst_multiplier: Headroom = 1.2


class RealtimeAdaptation(Section):
    """How thresholds follow the traffic."""

    enabled: bool = True
    interval: PositiveDuration = timedelta(minutes=5)
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    max_change_percent: Percent = 20.0
    percentile: Percent = 95.0


class SafetyMargins(Section):
    """What is added to a threshold, in percent of it."""

    default_margin: Percent = 25.0
    tenant_margins: dict[str, Percent] = Field(default_factory=dict)


class AutoConfig(Section):
    """Thresholds that are worked out from the limits."""

    enabled: bool = True
    limit_multipliers: LimitMultipliers = LimitMultipliers()
    realtime_adaptation: RealtimeAdaptation = RealtimeAdaptation()
    safety_margins: SafetyMargins = SafetyMargins()


class Thresholds(Section):
    """Thresholds set by hand, per second: samples, queries, new series."""

    ingestion: PerSecond | None = None
    query: PerSecond | None = None
    series: PerSecond | None = None


class TenantBreaker(Section):
    """What differs for one tenant."""

    enabled: bool = True
    mode: BreakerMode | None = None
    thresholds: Thresholds = Thresholds()


class RateLimit(Section):
    """How many requests pass while the breaker is open."""

    enabled: bool = True
    requests_per_second: PerSecond = 100.0
    burst_capacity: Count = 200


class BlastOverride(Section):
    """What counts as a blast for one tenant, per second."""

    ingestion_spike_threshold: PerSecond | None = None
    query_spike_threshold: PerSecond | None = None
    series_spike_threshold: PerSecond | None = None


class BlastProtection(Section):
    """What counts as a blast, per second: samples, queries, new series."""

    ingestion_spike_threshold: PerSecond = 1_000_000.0
    query_spike_threshold: PerSecond = 10_000.0
    series_spike_threshold: PerSecond = 100_000.0
    auto_emergency_shutdown: bool = True
    use_auto_thresholds: bool = True
    tenant_overrides: dict[str, BlastOverride] = Field(default_factory=dict)


class CircuitBreaker(Section):
    """The breaker of every tenant. In dry-run it only watches."""

    also_spelled: ClassVar[Mapping[str, str]] = {"autoConfiguration": "autoConfig"}

    enabled: bool = True
    runtime_enabled: bool = True
    mode: BreakerMode = "auto"
    failure_threshold: Percent = 50.0
    request_volume_threshold: Count = 20
    auto_config: AutoConfig = AutoConfig()
    thresholds: Thresholds = Thresholds()
    per_tenant_enabled: bool = True
    per_tenant_config: dict[str, TenantBreaker] = Field(default_factory=dict)
    rate_limit: RateLimit = RateLimit()
    blast_protection: BlastProtection = BlastProtection()

    @classmethod
    def reshaped(cls, tree: object) -> object:
        """Keys that operators write elsewhere, moved to where they belong.

        One that is already written there stays put and is refused as unknown.
        """
        if not isinstance(tree, Mapping):
            return tree
        for source, target in _MOVED.items():
            tree = _moved(tree, source=source, target=target)
        return tree


def _moved(
    tree: Mapping[object, object], *, source: tuple[str, str], target: tuple[str, ...]
) -> Mapping[object, object]:
    section, name = source
    held = tree.get(section)
    if not isinstance(held, Mapping):
        return tree
    key = next((key for key in held if isinstance(key, str) and fold(key) == fold(name)), None)
    if key is None or isinstance(held[key], Mapping):
        return tree

    value = _as_percent(held[key]) if name == "safetyMargin" else held[key]
    rest = {other: kept for other, kept in held.items() if other != key}
    placed = _placed({**tree, section: rest}, target, value)
    return tree if placed is None else placed


def _placed(
    tree: Mapping[object, object], target: tuple[str, ...], value: object
) -> Mapping[object, object] | None:
    """The tree with the value at the target, or None when something is there already."""
    head, *rest = target
    key = next((key for key in tree if isinstance(key, str) and fold(key) == fold(head)), head)
    if not rest:
        return None if key in tree else {**tree, key: value}
    below = tree.get(key, {})
    placed = _placed(below, tuple(rest), value) if isinstance(below, Mapping) else None
    return None if placed is None else {**tree, key: placed}


def _as_percent(share: object) -> object:
    """A margin written as a share of one (0.2) in percent; anything else as it is."""
    try:
        number = float(share) if isinstance(share, str | int | float) else None
    except ValueError:
        return share
    return share if number is None or not 0 < number < 1 else round(number * 100, 6)
