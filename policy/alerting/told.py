"""Who must hear of what: how each action of the audit is told, or why it is not.

Whatever happens is an audit entry, so here is the one place that says which of it is worth an
alert. A test holds the two tables to `docs/audit.md`: no action is in neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from policy.alerting.routing import CHANGES
from policy.audit import SUPERSEDED, AuditEntry
from policy.settings.channels import Priority

Of = Callable[[AuditEntry], str]

SILENT: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "pin",
            "unpin",
            "rollback",
            "release",
            "pause",
            "resume",
            "breaker_enabled",
            "breaker_disabled",
            "breaker_reset",
            "settings_changed",
            "alert_acknowledged",
            "alert_retried",
        ),
        "a person did it, and knows",
    ),
    "backfill_ended": "whoever asked for it sees its end",
    "tenant_held": "breaker_turned tells it",
    "tenant_released": "breaker_turned tells it",
    "recovery_step": "one every few minutes while all is well; the end of the recovery is told",
    "garbage_collected": "a part of an emergency that is told",
    "alert_sent": "telling of a message would be another message",
    "alert_failed": "channel_down tells it, on the other channels",
    "alert_given_up": "the same",
}
"""Actions of which nobody is told, each with the reason."""


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


def _always(text: str) -> Of:
    return lambda _: text


def _says(text: str) -> Of:
    """The text with `{tenant}` and the details of the entry in their places."""
    return lambda entry: text.format_map(_Known({**entry.details, "tenant": entry.tenant}))


def _is(name: str, *values: object) -> Callable[[AuditEntry], bool]:
    return lambda entry: entry.details.get(name) in values


def _by(name: str, priorities: Mapping[str, Priority]) -> Callable[[AuditEntry], Priority]:
    return lambda entry: priorities.get(str(entry.details.get(name)), "P2")


def _of_budget(entry: AuditEntry) -> str:
    return "cost:{kind}:{scope}:{name}:{period}".format_map(_Known(entry.details))


def _whose(entry: AuditEntry) -> str:
    known = entry.details
    return (
        "everybody together" if known["scope"] == "global" else f"{known['scope']} {known['name']}"
    )


_BUDGETS: Final[Mapping[str, Priority]] = {"critical": "P2", "warning": "P2", "info": "P3"}
_FLOWS: Final[Mapping[str, Priority]] = {"protect": "P2", "optimize": "P2", "deliver": "P2"}
# Leaks are to be mended, growth is to be known.
_LEAKS: Final[Mapping[str, Priority]] = {"leak": "P2", "growth": "P3"}
_CALM: Final = ("closed", "cooling", "growth")


def _emergency(level: str, priority: Priority) -> Telling:
    return Telling(
        kind=level,
        priority=priority,
        component="emergency",
        incident=_always("emergency"),
        title=_says(f"{level}, phase {{phase}}: {{reason}}"),
        lasts=True,
        when=_is("level", level),
    )


def _breaker(kind: str, *, acting: bool) -> Telling:
    caps = "caps it" if acting else "would cap it, but may not"
    return Telling(
        kind=kind,
        priority="P1",
        component="circuit-breaker",
        incident=_says("breaker:{tenant}"),
        title=_says(f"{{tenant}} blasts: its breaker {caps}"),
        lasts=True,
        when=lambda entry: (
            entry.details.get("after") == "open" and (entry.details.get("acting") is True) is acting
        ),
    )


def _publish(kind: str, priority: Priority, title: str) -> Telling:
    return Telling(
        kind=kind,
        priority=priority,
        component="publish",
        incident=_always("publish"),
        title=_says(title),
        lasts=True,
    )


def _cost(kind: str, title: str) -> Telling:
    return Telling(
        kind=kind,
        priority=_by("severity", _BUDGETS),
        component="cost-control",
        incident=_of_budget,
        title=lambda entry: title.format_map(_Known({**entry.details, "whose": _whose(entry)})),
        lasts=True,
    )


def _failed(flow: str, *, kind: str, component: str) -> Telling:
    return Telling(
        kind=kind,
        priority=_FLOWS.get(flow, "P3"),
        component=component,
        incident=lambda entry: f"flow:{entry.component}",
        title=lambda entry: f"the flow {entry.component} fails",
        lasts=True,
        when=lambda entry: entry.component == flow if flow else entry.component not in _FLOWS,
    )


def _ends(
    incident: Of, title: str, *, kind: str = "recovery", priority: Priority = "P3", component: str
) -> Telling:
    return Telling(
        kind=kind,
        priority=priority,
        component=component,
        incident=incident,
        title=_says(title),
        resolves=True,
    )


TOLD: Final[Mapping[str, tuple[Telling, ...]]] = {
    "emergency_raised": (
        _emergency("warning", "P2"),
        _emergency("emergency", "P1"),
        _emergency("panic", "P0"),
    ),
    "emergency_squeezed": (
        Telling(
            kind="emergency_squeezed",
            priority="P0",
            component="emergency",
            incident=_always("emergency"),
            title=_says("panic lasts: limits go below what tenants usually need"),
            lasts=True,
        ),
    ),
    "recovery_step_back": (
        Telling(
            kind="recovery_step_back",
            priority="P2",
            component="emergency",
            incident=_always("emergency"),
            title=_says("it got worse while limits were given back: a step back"),
            lasts=True,
        ),
    ),
    "recovery_broken_off": (
        Telling(
            kind="recovery_broken_off",
            priority="P1",
            component="emergency",
            incident=_always("emergency"),
            title=_says("the recovery was broken off: {reason}"),
            lasts=True,
        ),
    ),
    "emergency_over": (
        _ends(_always("emergency"), "the emergency is over", component="emergency"),
    ),
    "emergency_unmeasured": (
        Telling(
            kind="emergency_unmeasured",
            priority="P1",
            component="emergency",
            incident=_always("emergency unmeasured"),
            title=_says("what set off the emergency cannot be measured any more"),
            lasts=True,
        ),
    ),
    "emergency_measured": (
        _ends(
            _always("emergency unmeasured"),
            "the emergency is measured again",
            component="emergency",
        ),
    ),
    "breaker_turned": (
        _breaker("breaker", acting=True),
        _breaker("blast", acting=False),
        replace(
            _ends(
                _says("breaker:{tenant}"),
                "{tenant}: its breaker is closed",
                component="circuit-breaker",
            ),
            when=_is("after", *_CALM),
        ),
    ),
    "breaker_metrics_named": (
        Telling(
            kind="blast_metrics",
            priority="P3",
            component="circuit-breaker",
            incident=_says("breaker:{tenant}"),
            title=_says("{tenant}: the metrics with the most series are known"),
            lasts=True,
        ),
    ),
    "cluster_rise_began": (
        Telling(
            kind="cluster_rise",
            priority="P2",
            component="cluster",
            incident=_says("cluster:{kind}"),
            title=_says("all tenants together ask for far more than usual: {kind}"),
            lasts=True,
        ),
    ),
    "cluster_rise_over": (
        _ends(
            _says("cluster:{kind}"),
            "all tenants together ask for the usual again: {kind}",
            component="cluster",
        ),
    ),
    "publish_failed": (_publish("publish_failed", "P1", "limits could not be written to Mimir"),),
    "limit_changed": (
        Telling(
            kind=CHANGES,
            priority="P3",
            component="publish",
            incident=_says("revision:{revision}"),
            title=_says("{tenant}: {limit} is {after}, and was {before}"),
            together=True,
        ),
    ),
    "publish_refused": (
        replace(
            _publish("publish_refused", "P1", "a document was held back before it was written"),
            incident=_always("publish refused"),
        ),
    ),
    "publish_accepted": (
        _ends(_always("publish refused"), "documents are held back no more", component="publish"),
    ),
    "revision_failed": (
        _publish("publish_failed", "P1", "Mimir did not take revision {revision}"),
    ),
    "revision_reverted": (
        _publish("publish_reverted", "P1", "revision {revision} was taken back"),
    ),
    "revision_inconclusive": (
        replace(
            _publish(
                "publish_inconclusive", "P2", "nobody knows whether revision {revision} is in force"
            ),
            when=lambda entry: entry.details.get("detail") != SUPERSEDED,
        ),
    ),
    "revision_confirmed": (
        _ends(_always("publish"), "revision {revision} is in force", component="publish"),
    ),
    "lowering_reverted": (
        Telling(
            kind="lowering_reverted",
            priority="P3",
            component="publish",
            incident=_says("lowering:{tenant}"),
            title=_says("{tenant}: the limit {limit} was lowered too far, and is raised again"),
            together=True,
        ),
    ),
    "drift_put_back": (
        Telling(
            kind="drift",
            priority="P2",
            component="publish",
            incident=_always("drift"),
            title=_says("somebody changed {limit} of {tenant} in our document; it is put back"),
            together=True,
        ),
    ),
    "drift_respected": (
        Telling(
            kind="drift",
            priority="P2",
            component="publish",
            incident=_always("drift"),
            title=_says("somebody changed {limit} of {tenant} in our document; it stays"),
            together=True,
        ),
    ),
    "run_failed": (
        _failed("protect", kind="collection_failed", component="collection"),
        _failed("optimize", kind="flow_failed", component="optimize"),
        _failed("deliver", kind="flow_failed", component="alerting"),
        _failed("", kind="flow_failed", component="system"),
    ),
    "run_recovered": (
        Telling(
            kind="recovery",
            priority="P3",
            component="system",
            incident=lambda entry: f"flow:{entry.component}",
            title=lambda entry: f"the flow {entry.component} works again",
            resolves=True,
        ),
    ),
    "collection_degraded": (
        Telling(
            kind="collection_degraded",
            priority="P2",
            component="collection",
            incident=_always("collection"),
            title=_says("{silent} of {known} processes of Mimir do not answer"),
            lasts=True,
        ),
    ),
    "collection_whole": (
        _ends(_always("collection"), "every process of Mimir answers", component="collection"),
    ),
    "settings_broken": (
        Telling(
            kind="settings_broken",
            priority="P2",
            component="settings",
            incident=_always("settings"),
            title=_says("a change of the settings cannot be used"),
            lasts=True,
        ),
    ),
    "settings_mended": (
        _ends(_always("settings"), "the settings can be used again", component="settings"),
    ),
    "leak_began": (
        Telling(
            kind="leak",
            priority=_by("kind", _LEAKS),
            component="leak",
            incident=_says("leak:{tenant}:{signal}"),
            title=_says("{tenant}: {signal} creeps up day by day"),
            lasts=True,
        ),
    ),
    "leak_over": (
        _ends(
            _says("leak:{tenant}:{signal}"), "{tenant}: {signal} rises no more", component="leak"
        ),
    ),
    "export_failed": (
        Telling(
            kind="audit_export_failed",
            priority="P3",
            component="audit",
            incident=_says("audit:{target}"),
            title=_says("the audit log cannot be handed to {target}"),
            lasts=True,
        ),
    ),
    "export_recovered": (
        _ends(_says("audit:{target}"), "the audit log reaches {target} again", component="audit"),
    ),
    "entries_dropped": (
        Telling(
            kind="audit_dropped",
            priority="P3",
            component="audit",
            incident=_always("audit dropped"),
            title=_says("the audit log was too full: {entries} entries went before their time"),
        ),
    ),
    "budget_crossed": (
        _cost("budget_threshold", "{whose}: {threshold} % of the {period}'s budget"),
    ),
    "budget_burning": (_cost("budget_burn", "{whose}: the {period}'s budget burns too fast"),),
    "cost_unusual": (_cost("cost_anomaly", "{whose} costs far more than is usual"),),
    "budget_will_exceed": (
        _cost("forecast", "{whose}: the {period}'s budget will not last by the forecast"),
    ),
    "cost_alert_over": (
        Telling(
            kind="recovery",
            priority="P3",
            component="cost-control",
            incident=_of_budget,
            title=lambda entry: f"{_whose(entry)}: over",
            resolves=True,
        ),
    ),
    "budget_enforced": (
        Telling(
            kind="budget_enforced",
            priority="P2",
            component="cost-control",
            incident=_says("budget cap:{tenant}"),
            title=_says("{tenant}: a budget that is used up caps its limits"),
            lasts=True,
        ),
    ),
    "budget_lifted": (
        _ends(
            _says("budget cap:{tenant}"),
            "{tenant}: no budget caps its limits any more",
            component="cost-control",
        ),
    ),
    "savings_found": (
        Telling(
            kind="recommendation",
            priority="P3",
            component="cost-control",
            incident=_always("savings"),
            title=_says("new recommendations to save: {new}"),
        ),
    ),
    "channel_down": (
        Telling(
            kind="channel_down",
            priority="P2",
            component="alerting",
            incident=_says("channel:{channel}"),
            title=_says("alerts do not reach {channel}"),
            lasts=True,
        ),
    ),
    "channel_up": (
        _ends(_says("channel:{channel}"), "alerts reach {channel} again", component="alerting"),
    ),
}
"""How each other action is told; the first that fits the entry counts."""
