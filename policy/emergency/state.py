"""What is remembered of an emergency from look to look; kept in the history as one JSON object.

Everything that the next look needs is in it, so a process that starts in the middle goes on where
the one before stood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import ceil
from typing import Final

from pydantic import TypeAdapter, ValidationError

from policy.emergency.crashes import Watch
from policy.emergency.readings import Resource
from policy.emergency.rules import Level
from policy.errors import ConfigError

EASED_BY: Final = 2.0
"""Points of the squeeze that are given back with each point of the limits: what is usually needed
comes back first."""
_WHOLE: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A process that is over a threshold.

    Attributes:
        rule: the key of the rule that it is over.
        pod: which process; empty for the cluster as a whole.
        component: what it is.
        since: since when, without a break.
        seen: when it was last measured.
        value: what was measured then.
    """

    rule: str
    pod: str
    component: str | None
    since: datetime
    seen: datetime
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where the emergency stands.

    Attributes:
        level: the worst level that was reached and is not over.
        phase: the worst phase of it, 0 to 4.
        since: when the level was reached; None without one.
        because: the reading that did it, in words.
        held: what is over a threshold now.
        resources: those that set off the level: they have to be measured before it is over.
        actions: what is done, each with the percent that it takes away, 0 where it takes none.
        healthy_since: since when everything is healthy; None while it is not.
        healthy_at: when that was last seen.
        begun: since when something is done beyond telling; None while nothing is.
        squeezed: percent points of what tenants usually need that were taken: 100 are all of it
            of who is not critical, 200 of everybody.
        pressed_at: since when it is panic although the caps are in force.
        pressed: the fullest memory or disk then.
        restored: percent points that were given back.
        stepped_at: when the last step was, forth or back; None before the first.
        rejected: requests/s that were refused at the last step, or when it became healthy.
        blind: nothing at all was measured in the newest look.
        watch: of the processes.
        collected: when each process was last told to collect garbage.
    """

    level: Level = "none"
    phase: int = 0
    since: datetime | None = None
    because: str = ""
    held: tuple[Held, ...] = ()
    resources: tuple[Resource, ...] = ()
    actions: Mapping[str, float] = field(default_factory=dict)
    healthy_since: datetime | None = None
    healthy_at: datetime | None = None
    begun: datetime | None = None
    squeezed: float = 0.0
    pressed_at: datetime | None = None
    pressed: float | None = None
    restored: float = 0.0
    stepped_at: datetime | None = None
    rejected: float | None = None
    blind: bool = False
    watch: Watch = field(default_factory=Watch)
    collected: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def is_emergency(self) -> bool:
        """Whether something is done beyond telling."""
        return self.level in {"emergency", "panic"}

    @property
    def most(self) -> float:
        """The most percent points to be given back; 0 where nothing is cut."""
        return max([*self.actions.values(), self.squeezed / EASED_BY], default=0.0)

    def points(self, action: str) -> float:
        """Percent points that an action still takes away."""
        return max(0.0, self.actions.get(action, 0.0) - self.restored)

    @property
    def squeeze(self) -> float:
        """Percent points of `squeezed` that are taken still."""
        return max(0.0, self.squeezed - EASED_BY * self.restored)

    def taken(self, *, critical: bool) -> float:
        """Percent of what a tenant usually needs that is taken from it, 0 to 100."""
        return min(_WHOLE, max(0.0, self.squeeze - (_WHOLE if critical else 0.0)))

    def steps(self, *, step_points: float) -> tuple[int, int]:
        """How many steps back to normal are done, and how many there are, at least one."""
        return round(self.restored / step_points), max(1, ceil(self.most / step_points))

    def over(self) -> State:
        """Nothing is done any more; what is known of the processes stays."""
        return State(held=self.held, watch=self.watch, collected=self.collected)

    def relapsed(self) -> State:
        """All that was given back of the limits is taken again, and nothing of the usual need."""
        return replace(
            self,
            squeezed=self.squeeze,
            restored=0.0,
            stepped_at=None,
            healthy_since=None,
            healthy_at=None,
            rejected=None,
        )


_STORED: Final = TypeAdapter(State)


def as_json(state: State) -> str:
    """The state as it is stored."""
    return _STORED.dump_json(state).decode()


def from_json(text: str) -> State:
    """The state that was stored.

    Raises:
        ConfigError: it is none that this release can read.
    """
    try:
        return _STORED.validate_json(text)
    except ValidationError as fault:
        where = ".".join(map(str, fault.errors()[0]["loc"])) or "all of it"
        raise ConfigError(
            f"the emergency state in the history cannot be read ({where}): run the release that "
            "wrote it until the emergency is over"
        ) from fault
