"""How an entry of the audit is told: kind, priority, incident, title, by what the entry says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from policy.audit import AuditEntry
from policy.figures import figure
from policy.settings.channels import Priority

Of = Callable[[AuditEntry], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """How an action is told.

    Attributes:
        kind: of the alert.
        priority: of the alert, by the entry.
        component: of the alert.
        incident: what it belongs to, by the entry.
        title: one line, by the entry.
        resolves: it is the end of its incident.
        lasts: its incident lasts until another entry ends it.
        when: which entries of the action are told at all.
        together: all entries of the action that happened at once are one alert.
    """

    kind: str
    priority: Priority | Callable[[AuditEntry], Priority]
    component: str
    incident: Of
    title: Of
    resolves: bool = False
    lasts: bool = False
    when: Callable[[AuditEntry], bool] = lambda _: True
    together: bool = False


class _Known(dict[str, object]):
    """What an entry knows. A title without one figure is better than an entry that is lost."""

    def __missing__(self, name: str) -> str:
        return "unknown"


def _known(entry: AuditEntry) -> _Known:
    told = {**entry.details, "tenant": entry.tenant}
    return _Known(
        {
            name: figure(value)
            if isinstance(value, int | float) and not isinstance(value, bool)
            else value
            for name, value in told.items()
        }
    )


def always(text: str) -> Of:
    """The same text for every entry."""
    return lambda _: text


def says(text: str) -> Of:
    """The text with `{tenant}` and the details of the entry in their places."""
    return lambda entry: text.format_map(_known(entry))


def changed(entry: AuditEntry) -> str:
    """What a limit is and was in our document; one that is not in it is the operator's own."""
    of = {"before": "not set by us", "after": "not set by us any more"}
    told = {name: words for name, words in of.items() if entry.details.get(name) is None}
    return "{tenant}: {limit} is {after}, and was {before}".format_map(_Known(_known(entry) | told))


def where(name: str, *values: object) -> Callable[[AuditEntry], bool]:
    """Whether a detail of the entry is one of these."""
    return lambda entry: entry.details.get(name) in values


def by_detail(name: str, priorities: Mapping[str, Priority]) -> Callable[[AuditEntry], Priority]:
    """The priority by a detail of the entry; P2 where it is none of these."""
    return lambda entry: priorities.get(str(entry.details.get(name)), "P2")


def of_budget(entry: AuditEntry) -> str:
    """The incident of a budget, or of what a tenant costs."""
    return "cost:{kind}:{scope}:{name}:{period}".format_map(_Known(entry.details))


def whose(entry: AuditEntry) -> str:
    """Who an alert of costs is about."""
    known = entry.details
    return (
        "everybody together" if known["scope"] == "global" else f"{known['scope']} {known['name']}"
    )


_BUDGETS: Final[Mapping[str, Priority]] = {"critical": "P2", "warning": "P2", "info": "P3"}
_FLOWS: Final[Mapping[str, Priority]] = {"protect": "P2", "optimize": "P2", "deliver": "P2"}
# Leaks are to be mended, growth is to be known.
LEAKS: Final[Mapping[str, Priority]] = {"leak": "P2", "growth": "P3"}
CALM: Final = ("closed", "cooling", "growth")


def emergency(level: str, priority: Priority) -> Telling:
    """An emergency level."""
    return Telling(
        kind=level,
        priority=priority,
        component="emergency",
        incident=always("emergency"),
        title=says(f"{level}, phase {{phase}}: {{reason}}"),
        lasts=True,
        when=where("level", level),
    )


def breaker(kind: str, *, acting: bool) -> Telling:
    """A breaker that opens, and caps somebody or may not."""
    caps = "caps it" if acting else "would cap it, but may not"
    return Telling(
        kind=kind,
        priority="P1",
        component="circuit-breaker",
        incident=says("breaker:{tenant}"),
        title=says(f"{{tenant}} blasts: its breaker {caps}"),
        lasts=True,
        when=lambda entry: (
            entry.details.get("after") == "open" and (entry.details.get("acting") is True) is acting
        ),
    )


def publish(kind: str, priority: Priority, title: str) -> Telling:
    """What became of what was to be published."""
    return Telling(
        kind=kind,
        priority=priority,
        component="publish",
        incident=always("publish"),
        title=says(title),
        lasts=True,
    )


def cost(kind: str, title: str) -> Telling:
    """An alert of costs."""
    return Telling(
        kind=kind,
        priority=by_detail("severity", _BUDGETS),
        component="cost-control",
        incident=of_budget,
        title=lambda entry: title.format_map({**_known(entry), "whose": whose(entry)}),
        lasts=True,
    )


def failed(flow: str, *, kind: str, component: str) -> Telling:
    """A flow that fails; without a name, any other."""
    return Telling(
        kind=kind,
        priority=_FLOWS.get(flow, "P3"),
        component=component,
        incident=lambda entry: f"flow:{entry.component}",
        title=lambda entry: f"the flow {entry.component} fails",
        lasts=True,
        when=lambda entry: entry.component == flow if flow else entry.component not in _FLOWS,
    )


def ends(
    incident: Of, title: str, *, kind: str = "recovery", priority: Priority = "P3", component: str
) -> Telling:
    """The end of an incident."""
    return Telling(
        kind=kind,
        priority=priority,
        component=component,
        incident=incident,
        title=says(title),
        resolves=True,
    )
