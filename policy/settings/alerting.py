"""Who is told, over which channel, and how fast a silence escalates.

A channel is named by its kind or by its entry in `webhooks` or `apprise`, and may be followed by
whom it is to reach there: `slack:#payments`, `email:ops@example.com`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import time, timedelta
from typing import Annotated, ClassVar, Final, Self

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from policy.settings.channels import (
    Alertmanager,
    Apprise,
    Email,
    PagerDuty,
    Priority,
    Slack,
    Webhook,
)
from policy.settings.cost import known_zone
from policy.settings.section import Section
from policy.settings.values import (
    BaseUrl,
    Count,
    Escalation,
    Faults,
    Interval,
    Name,
    PositiveDuration,
    not_empty,
)

CHANNELS: Final = ("slack", "pagerduty", "email", "alertmanager")
_SPELLED: Final[Mapping[str, str]] = {"prometheus": "alertmanager", "webhook": "default"}

_ESCALATION: Final[Mapping[Priority, timedelta]] = {
    "P0": timedelta(0),
    "P1": timedelta(minutes=5),
    "P2": timedelta(minutes=15),
    "P3": timedelta(hours=1),
}


def _canonical(channels: tuple[str, ...]) -> tuple[str, ...]:
    parts = (channel.partition(":") for channel in channels)
    return tuple(f"{_SPELLED.get(name, name)}{colon}{whom}" for name, colon, whom in parts)


def _by_priority(written: Mapping[Priority, timedelta]) -> dict[Priority, timedelta]:
    return {**_ESCALATION, **written}


Channels = Annotated[tuple[Name, ...], AfterValidator(_canonical)]
SomeChannels = Annotated[Channels, AfterValidator(not_empty)]


class RouteMatch(Section):
    """What an alert must be like; a key that is not written matches every alert."""

    severity: str | None = None
    component: str | None = None
    kind: str | None = None
    priority: Priority | None = None
    tenant: str | None = None
    """A pattern; it matches no alert that is about nobody in particular."""
    team: str | None = None
    tier: str | None = None


class Route(Section):
    """Where a matching alert goes, and after how long without an answer it goes further."""

    match: RouteMatch = RouteMatch()
    channels: SomeChannels
    escalation: Escalation | None = None
    """None: what `alerting.escalation` says of the priority."""
    escalate_to: Channels = ()
    """Empty: where an alert of the next higher priority would go."""


class QuietHours(Section):
    """A time of the day in which what is not urgent waits."""

    begins: Annotated[time, Field(alias="from")]
    ends: Annotated[time, Field(alias="until")]
    time_zone: Annotated[str, AfterValidator(known_zone)] = "UTC"
    priorities: Annotated[tuple[Priority, ...], AfterValidator(not_empty)] = ("P2", "P3")


class Maintenance(Section):
    """A time in which what concerns these tenants waits, and is told if it is not over by then."""

    begins: Annotated[AwareDatetime, Field(alias="from")]
    ends: Annotated[AwareDatetime, Field(alias="until")]
    tenants: Annotated[tuple[Name, ...], AfterValidator(not_empty)] = ("*",)
    """Patterns; `*` is also what is about nobody in particular."""

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.ends <= self.begins:
            raise ValueError("until must be after from")
        return self


class Queue(Section):
    """How many messages may wait; beyond, those of the lowest priority give way."""

    waiting: Count = 1_000
    retrying: Count = 500


class Retry(Section):
    """How a message that a channel did not take is tried again."""

    attempts: Count = 20
    first_delay: PositiveDuration = timedelta(seconds=10)
    longest_delay: PositiveDuration = timedelta(minutes=15)


class Alerting(Section):
    """Channels, and the routes to them."""

    also_spelled: ClassVar[Mapping[str, str]] = {"prometheus": "alertmanager"}

    enabled: bool = True
    interval: Interval = timedelta(seconds=15)
    check_interval: PositiveDuration = timedelta(minutes=5)
    cluster: str | None = None
    """What the Mimir is called in messages; None: `mimir.namespace`."""
    prefect_url: BaseUrl | None = None
    """Where people open the Prefect UI; None: messages have no link to the run."""
    runbook_url: BaseUrl | None = None

    slack: Slack = Slack()
    pagerduty: PagerDuty = PagerDuty()
    email: Email = Email()
    webhooks: dict[str, Webhook] = Field(default_factory=dict)
    alertmanager: Alertmanager = Alertmanager()
    apprise: dict[str, Apprise] = Field(default_factory=dict)

    routing: tuple[Route, ...] = ()
    escalation: Annotated[dict[Priority, Escalation], AfterValidator(_by_priority)] = Field(
        default_factory=lambda: dict(_ESCALATION)
    )
    owners: dict[str, SomeChannels] = Field(default_factory=dict)
    """Channels that also hear what concerns a tenant, by pattern; the first that fits."""
    quiet_hours: tuple[QuietHours, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    group_above: Count = 5
    most_per_minute: Count = 30
    queue: Queue = Queue()
    retry: Retry = Retry()

    @classmethod
    def reshaped(cls, tree: object) -> object:
        """A lone `webhook` becomes the entry `default` of `webhooks`."""
        if not isinstance(tree, Mapping) or "webhook" not in tree:
            return tree
        webhooks = tree.get("webhooks", {})
        if not isinstance(webhooks, Mapping) or "default" in webhooks:
            return tree
        rest = {key: value for key, value in tree.items() if key != "webhook"}
        return {**rest, "webhooks": {**webhooks, "default": tree["webhook"]}}

    @property
    def names(self) -> frozenset[str]:
        """Every channel that there is a word for, enabled or not."""
        return frozenset({*CHANNELS, *self.webhooks, *self.apprise})

    @model_validator(mode="after")
    def _routes_lead_somewhere(self) -> Self:
        named = [
            *((f"routing[{i}].channels", route.channels) for i, route in enumerate(self.routing)),
            *(
                (f"routing[{i}].escalateTo", route.escalate_to)
                for i, route in enumerate(self.routing)
            ),
            *((f"owners.{pattern}", channels) for pattern, channels in self.owners.items()),
        ]
        faults = {key: fault for key, channels in named for fault in self._unknown(channels)}
        faults |= {
            f"{section}.{name}": f"{name} is also a channel of another kind; give it another name"
            for section, entries in (("webhooks", self.webhooks), ("apprise", self.apprise))
            for name in entries
            if name in CHANNELS or (section == "apprise" and name in self.webhooks)
        }
        faults |= {
            f"{section}.{name}": "must not contain a colon: what follows one is whom to reach"
            for section, entries in (("webhooks", self.webhooks), ("apprise", self.apprise))
            for name in entries
            if ":" in name
        }
        if faults:
            raise Faults(faults)
        return self

    def _unknown(self, channels: Iterable[str]) -> Iterator[str]:
        for channel in channels:
            if channel.partition(":")[0] not in self.names:
                yield f"{channel!r} is no channel and no entry of webhooks or apprise"
