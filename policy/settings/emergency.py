"""When the cluster itself is in danger: what is done at once, and when it is undone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Literal, Self

from pydantic import model_validator

from policy.settings.section import Section, fold
from policy.settings.values import (
    Duration,
    Faults,
    Percent,
    PerSecond,
    PositiveDuration,
    SomePercent,
)

_PERCENT_DEFAULTS: Final = {"reduce_limits": 50.0, "throttle_ingestion": 80.0}
_ACTIONS: Final = {
    fold(name): name
    for name in (
        "reduce_limits",
        "throttle_ingestion",
        "disable_queries",
        "force_gc",
        "circuit_breaker",
        "alert",
    )
}


class PanicAction(Section):
    """One thing that is done in an emergency or in panic.

    Written as its name, or as a map of its one key: `reduce_limits: 50%`, `force_gc: true`,
    `circuit_breaker: open`. `percent` is how much is taken away.
    """

    name: Literal[
        "reduce_limits",
        "throttle_ingestion",
        "disable_queries",
        "force_gc",
        "circuit_breaker",
        "alert",
    ]
    percent: Percent | None = None
    enabled: bool = True

    @classmethod
    def reshaped(cls, tree: object) -> object:
        """The name, or the one-key map, as name, percent and enabled."""
        if isinstance(tree, str):
            tree = {tree: True}
        if not isinstance(tree, Mapping) or len(tree) != 1 or "name" in tree:
            return tree
        [(key, value)] = tree.items()
        name = _ACTIONS.get(fold(key)) if isinstance(key, str) else None
        if name is None:
            return {"name": key}
        if name in _PERCENT_DEFAULTS:
            return {"name": name, "percent": _PERCENT_DEFAULTS[name] if value is True else value}
        return {"name": name, "enabled": True if value == "open" else value}

    @model_validator(mode="after")
    def _percent_belongs(self) -> Self:
        if self.percent is not None and self.name not in _PERCENT_DEFAULTS:
            raise Faults({"percent": f"means nothing for {self.name}"})
        if self.percent is None and self.name in _PERCENT_DEFAULTS:
            raise Faults({"percent": f"is needed for {self.name}"})
        return self


class PanicMode(Section):
    """The triggers and the last resort: what sets them off and what panic does.

    Thresholds are percent of what the process may use, of one process; `samplesPerSecond` is of
    all tenants together. A trigger does its own of the actions, and panic does them all.
    """

    enabled: bool = True
    cpu_threshold: Percent = 90.0
    cpu_for: Duration = timedelta(minutes=2)
    memory_threshold: Percent = 85.0
    memory_for: Duration = timedelta(minutes=1)
    disk_threshold: Percent = 95.0
    network_threshold: Percent = 80.0
    samples_per_second: PerSecond = 5_000_000.0
    actions: tuple[PanicAction, ...] = (
        PanicAction(name="reduce_limits", percent=50.0),
        PanicAction(name="throttle_ingestion", percent=80.0),
        PanicAction(name="disable_queries"),
        PanicAction(name="force_gc"),
        PanicAction(name="circuit_breaker"),
        PanicAction(name="alert"),
    )


class Recovery(Section):
    """When an emergency ends, and how slowly limits come back."""

    cpu_threshold: Percent = 70.0
    memory_threshold: Percent = 75.0
    stable_for: PositiveDuration = timedelta(minutes=10)
    step_percentage: SomePercent = 10.0
    step_interval: PositiveDuration = timedelta(minutes=5)


class Emergency(Section):
    """Levels by what Mimir's own processes use, and the way out of them."""

    enabled: bool = True
    warning_threshold: Percent = 75.0
    emergency_threshold: Percent = 90.0
    panic_threshold: Percent = 95.0
    network_bytes_per_second: PerSecond | None = None
    """What the network of one process carries each way, where nothing tells it."""
    critical_tenants: tuple[str, ...] = ()
    """Shell patterns of tenants that only panic cuts; of their usual need it takes last."""
    actions: tuple[PanicAction, ...] = (
        PanicAction(name="circuit_breaker"),
        PanicAction(name="force_gc"),
        PanicAction(name="alert"),
    )
    panic_mode: PanicMode = PanicMode()
    recovery: Recovery = Recovery()

    @model_validator(mode="after")
    def _levels_rise(self) -> Self:
        rising = (
            ("warningThreshold", self.warning_threshold, "emergencyThreshold"),
            ("emergencyThreshold", self.emergency_threshold, "panicThreshold"),
        )
        above = (self.emergency_threshold, self.panic_threshold)
        faults = {
            key: f"{low:g} must be below {other} {high:g}"
            for (key, low, other), high in zip(rising, above, strict=True)
            if low >= high
        }
        if faults:
            raise Faults(faults)
        return self

    @model_validator(mode="after")
    def _calm_is_below_danger(self) -> Self:
        panic, calm = self.panic_mode, self.recovery
        pairs = {
            "recovery.cpuThreshold": (calm.cpu_threshold, panic.cpu_threshold),
            "recovery.memoryThreshold": (calm.memory_threshold, panic.memory_threshold),
        }
        faults = {
            key: f"{low:g} must be below panicMode's {high:g}"
            for key, (low, high) in pairs.items()
            if low >= high
        } or {
            key: f"{low:g} must be below emergencyThreshold {self.emergency_threshold:g}"
            for key, (low, _) in pairs.items()
            if low >= self.emergency_threshold
        }
        if faults:
            raise Faults(faults)
        return self
