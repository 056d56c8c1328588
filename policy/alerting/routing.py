"""Who is told of an alert: the channels of the first rule that fits, or those of its priority.

A channel may be followed by whom it is to reach there: `slack:#payments`. What the settings do not
enable is left out; it is no reason to tell nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from policy.alerting.alert import PRIORITIES, SEVERITY_OF
from policy.settings.alerting import Alerting, Route
from policy.settings.channels import Priority

SLACK, PAGERDUTY, EMAIL, ALERTMANAGER = "slack", "pagerduty", "email", "alertmanager"
WEBHOOKS: Final = "webhooks"
"""Stands for every entry of `webhooks` and `apprise`."""
BY_PRIORITY: Final[Mapping[Priority, tuple[str, ...]]] = {
    "P0": (SLACK, PAGERDUTY, EMAIL, WEBHOOKS),
    "P1": (PAGERDUTY, SLACK),
    "P2": (SLACK, EMAIL),
    "P3": (EMAIL, WEBHOOKS),
}
"""Where no rule fits. An Alertmanager, which routes by itself, gets everything besides."""
CHANGES: Final = "limits_changed"
"""The kind of what limits were written: no alert, but what PagerDuty calls a change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What rules look at.

    Attributes:
        kind: of the alert.
        priority: of its incident.
        component: of the alert.
        tenant: whom it is about; None: nobody in particular.
        team: of the tenant; None: none.
        tier: of the tenant; None: none.
    """

    kind: str
    priority: Priority
    component: str
    tenant: str | None = None
    team: str | None = None
    tier: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Target:
    """A channel, and whom it is to reach there; an empty address is whom its settings name."""

    channel: str
    address: str = ""


def routed(subject: Subject, *, alerting: Alerting) -> tuple[Target, ...]:
    """Who is told, each once, in the order of the settings; PagerDuty only of its priorities."""
    route = route_of(subject, alerting=alerting)
    if subject.kind == CHANGES:
        changes = PAGERDUTY in enabled(alerting) and alerting.pagerduty.changes
        return (Target(channel=PAGERDUTY),) if changes else ()
    names = route.channels if route else _by_priority(subject.priority, alerting=alerting)
    return _targets([*names, *_owners(subject.tenant, alerting=alerting)], subject, alerting)


def further(subject: Subject, *, alerting: Alerting) -> tuple[Target, ...]:
    """Who is told when nobody answered: by the rule, or whoever hears of the next priority."""
    route = route_of(subject, alerting=alerting)
    urgency = PRIORITIES[max(0, PRIORITIES.index(subject.priority) - 1)]
    names: Iterable[str] = route.escalate_to if route else ()
    # PagerDuty's filter looks at how urgent it has become.
    raised = Subject(
        kind=subject.kind,
        priority=urgency,
        component=subject.component,
        tenant=subject.tenant,
        team=subject.team,
        tier=subject.tier,
    )
    return _targets(names or _by_priority(urgency, alerting=alerting), raised, alerting)


def route_of(subject: Subject, *, alerting: Alerting) -> Route | None:
    """The first rule that fits."""
    return next((route for route in alerting.routing if _fits(route, subject)), None)


def enabled(alerting: Alerting) -> frozenset[str]:
    """The channels that the settings enable."""
    single = {
        SLACK: alerting.slack.enabled,
        PAGERDUTY: alerting.pagerduty.enabled,
        EMAIL: alerting.email.enabled,
        ALERTMANAGER: alerting.alertmanager.enabled,
    }
    return frozenset(
        [
            *(name for name, on in single.items() if on),
            *(name for name, hook in alerting.webhooks.items() if hook.enabled),
            *(name for name, service in alerting.apprise.items() if service.enabled),
        ]
    )


def _by_priority(priority: Priority, *, alerting: Alerting) -> list[str]:
    on = enabled(alerting)
    many = [name for name in (*alerting.webhooks, *alerting.apprise) if name in on]
    named = [
        channel
        for name in BY_PRIORITY[priority]
        for channel in (many if name == WEBHOOKS else [name])
        if channel in on
    ]
    if not named:
        # Whoever has one channel only hears everything there, but is not woken by it.
        named = [name for name in (SLACK, EMAIL, *many) if name in on]
    return [*named, *([ALERTMANAGER] if ALERTMANAGER in on else [])]


def _owners(tenant: str | None, *, alerting: Alerting) -> tuple[str, ...]:
    if tenant is None:
        return ()
    owners = alerting.owners.items()
    return next((channels for pattern, channels in owners if fnmatchcase(tenant, pattern)), ())


def _targets(names: Iterable[str], subject: Subject, alerting: Alerting) -> tuple[Target, ...]:
    on = enabled(alerting)
    found: dict[Target, None] = {}
    for name in names:
        channel, _, address = name.partition(":")
        muted = channel == PAGERDUTY and subject.priority not in alerting.pagerduty.priorities
        if channel in on and not muted:
            found[Target(channel=channel, address=address)] = None
    return tuple(found)


def _fits(route: Route, subject: Subject) -> bool:
    match = route.match
    exact = (
        (match.severity, SEVERITY_OF[subject.priority]),
        (match.component, subject.component),
        (match.kind, subject.kind),
        (match.priority, subject.priority),
        (match.tier, subject.tier),
    )
    patterns = ((match.tenant, subject.tenant), (match.team, subject.team))
    return all(wanted is None or wanted == found for wanted, found in exact) and all(
        wanted is None or (found is not None and fnmatchcase(found, wanted))
        for wanted, found in patterns
    )
