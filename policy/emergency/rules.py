"""Which reading, held for how long, is which level, and what is done then: a table.

| phase | level     | set off by                             | does                     |
|-------|-----------|----------------------------------------|--------------------------|
| 1     | warning   | `warningThreshold` of a resource       | tells                    |
| 2     | emergency | `emergencyThreshold` of a resource     | `emergency.actions`      |
| 3     | emergency | a trigger of `panicMode`               | the trigger's own action |
| 4     | panic     | `panicThreshold` of a resource         | `panicMode.actions`, all |

A threshold has to be exceeded, by one and the same process, for as long as the trigger of its
resource says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from math import inf
from typing import Final, Literal, get_args

from policy.emergency.readings import Resource
from policy.settings.emergency import Emergency, PanicAction

Level = Literal["none", "warning", "emergency", "panic"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)

OPEN_PERCENT: Final = 90.0
"""What an open breaker takes away from the ingestion of a tenant."""
HYSTERESIS: Final = 5.0
"""Percent points below its threshold at which a resource counts as calm again."""
STALE_LOOKS: Final = 2.5
"""Two looks, and half of one for a look that is late."""

# What each trigger does of what the settings allow.
_OWN: Final[Mapping[Resource, tuple[str, ...]]] = {
    "cpu": ("reduce_limits",),
    # What fills an ingester is series: a lower rate alone lets new ones in, only later.
    "memory": ("reduce_limits", "throttle_ingestion", "force_gc"),
    "disk": ("disable_queries",),
    "network": ("throttle_ingestion",),
    "samples": ("throttle_ingestion",),
    "crash": ("circuit_breaker",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of the table.

    Attributes:
        resource: what is read.
        above: percent of the resource, or samples/s; of a crash 0.
        held_for: how long one process has to be above it.
        level: what follows.
        phase: 1 to 4.
        actions: what is done, each with the percent that it takes away, 0 where it takes none.
    """

    resource: Resource
    above: float
    held_for: timedelta
    level: Level
    phase: int
    actions: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What names it in what is remembered."""
        return f"{self.phase}:{self.resource}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Everything that the state goes by.

    Attributes:
        rules: the table.
        calm: below which value each resource is healthy.
        eased: below which value each resource is worth no warning any more.
        stable_for: how long all has to be healthy before the first step back to normal.
        step_points: how many percent points of each limit a step gives back.
        step_interval: how far apart steps are.
        stale_after: for how long a reading counts that is not renewed.
        collect_above: percent of memory above which a process is told to collect garbage.
        squeezed_at_most: percent points of the usual need that panic may take, 100 of each group.
    """

    rules: tuple[Rule, ...]
    calm: Mapping[Resource, float]
    eased: Mapping[Resource, float]
    stable_for: timedelta
    step_points: float
    step_interval: timedelta
    stale_after: timedelta
    collect_above: float
    squeezed_at_most: float = 100.0


def terms_of(settings: Emergency, *, look_every: timedelta) -> Terms:
    """The terms that the settings say.

    Args:
        settings: of the emergency levels.
        look_every: how often Mimir is looked at.
    """
    panic, recovery = settings.panic_mode, settings.recovery
    danger = {
        "disk": min(settings.emergency_threshold, panic.disk_threshold),
        "network": min(settings.emergency_threshold, panic.network_threshold),
    }
    eased = settings.warning_threshold - HYSTERESIS
    return Terms(
        rules=tuple(_rules(settings)),
        calm={
            "cpu": recovery.cpu_threshold,
            "memory": recovery.memory_threshold,
            "disk": danger["disk"] - HYSTERESIS,
            "network": danger["network"] - HYSTERESIS,
            "samples": panic.samples_per_second * (1 - HYSTERESIS / 100) if panic.enabled else inf,
        },
        eased={"cpu": eased, "memory": eased, "disk": eased, "network": eased},
        stable_for=recovery.stable_for,
        step_points=recovery.step_percentage,
        step_interval=recovery.step_interval,
        stale_after=look_every * STALE_LOOKS,
        collect_above=panic.memory_threshold,
        squeezed_at_most=200.0 if settings.critical_tenants else 100.0,
    )


def rank(level: Level) -> int:
    """0 for none up to 3 for panic."""
    return LEVELS.index(level)


def _rules(settings: Emergency) -> Iterable[Rule]:
    panic = settings.panic_mode
    at_once = timedelta(0)
    held: dict[Resource, timedelta] = {
        "cpu": panic.cpu_for,
        "memory": panic.memory_for,
        "disk": at_once,
        "network": at_once,
    }
    first, last = _actions(settings.actions), _actions(panic.actions)
    for resource, held_for in held.items():
        yield Rule(
            resource=resource,
            above=settings.warning_threshold,
            held_for=held_for,
            level="warning",
            phase=1,
        )
        yield Rule(
            resource=resource,
            above=settings.emergency_threshold,
            held_for=held_for,
            level="emergency",
            phase=2,
            actions=first,
        )
        if panic.enabled:
            yield Rule(
                resource=resource,
                above=settings.panic_threshold,
                held_for=held_for,
                level="panic",
                phase=4,
                actions=last,
            )
    if not panic.enabled:
        return
    triggers: dict[Resource, float] = {
        "cpu": panic.cpu_threshold,
        "memory": panic.memory_threshold,
        "disk": panic.disk_threshold,
        "network": panic.network_threshold,
        "samples": panic.samples_per_second,
        "crash": 0.0,
    }
    for resource, above in triggers.items():
        yield Rule(
            resource=resource,
            above=above,
            held_for=held.get(resource, at_once),
            level="emergency",
            phase=3,
            actions={name: by for name, by in last.items() if name in _OWN[resource]},
        )


def _actions(named: Iterable[PanicAction]) -> dict[str, float]:
    return {
        action.name: OPEN_PERCENT if action.name == "circuit_breaker" else action.percent or 0.0
        for action in named
        if action.enabled
    }
