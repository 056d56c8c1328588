"""Who must hear of what: how each action of the audit is told, or why it is not.

Whatever happens is an audit entry, so here is the one place that says which of it is worth an
alert. A test holds the two tables to `docs/audit.md`: no action is in neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from policy.alerting.routing import CHANGES
from policy.alerting.telling import (
    CALM,
    LEAKS,
    Telling,
    always,
    breaker,
    by_detail,
    changed,
    cost,
    emergency,
    ends,
    failed,
    of_budget,
    publish,
    says,
    where,
    whose,
)
from policy.audit import SUPERSEDED

SILENT: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "pin",
            "unpin",
            "rollback",
            "release",
            "pause",
            "resume",
            "restore",
            "withdraw",
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


TOLD: Final[Mapping[str, tuple[Telling, ...]]] = {
    "emergency_raised": (
        emergency("warning", "P2"),
        emergency("emergency", "P1"),
        emergency("panic", "P0"),
    ),
    "emergency_squeezed": (
        Telling(
            kind="emergency_squeezed",
            priority="P0",
            component="emergency",
            incident=always("emergency"),
            title=says("panic lasts: limits go below what tenants usually need"),
            lasts=True,
        ),
    ),
    "recovery_step_back": (
        Telling(
            kind="recovery_step_back",
            priority="P2",
            component="emergency",
            incident=always("emergency"),
            title=says("it got worse while limits were given back: a step back"),
            lasts=True,
        ),
    ),
    "recovery_broken_off": (
        Telling(
            kind="recovery_broken_off",
            priority="P1",
            component="emergency",
            incident=always("emergency"),
            title=says("the recovery was broken off: {reason}"),
            lasts=True,
        ),
    ),
    "emergency_over": (ends(always("emergency"), "the emergency is over", component="emergency"),),
    "emergency_unmeasured": (
        Telling(
            kind="emergency_unmeasured",
            priority="P1",
            component="emergency",
            incident=always("emergency unmeasured"),
            title=says("what set off the emergency cannot be measured any more"),
            lasts=True,
        ),
    ),
    "emergency_measured": (
        ends(
            always("emergency unmeasured"),
            "the emergency is measured again",
            component="emergency",
        ),
    ),
    "breaker_turned": (
        breaker("breaker", acting=True),
        breaker("blast", acting=False),
        replace(
            ends(
                says("breaker:{tenant}"),
                "{tenant}: its breaker is closed",
                component="circuit-breaker",
            ),
            when=where("after", *CALM),
        ),
    ),
    "breaker_metrics_named": (
        Telling(
            kind="blast_metrics",
            priority="P3",
            component="circuit-breaker",
            incident=says("breaker:{tenant}"),
            title=says("{tenant}: the metrics with the most series are known"),
            lasts=True,
        ),
    ),
    "cluster_rise_began": (
        Telling(
            kind="cluster_rise",
            priority="P2",
            component="cluster",
            incident=says("cluster:{kind}"),
            title=says("all tenants together ask for far more than usual: {kind}"),
            lasts=True,
        ),
    ),
    "cluster_rise_over": (
        ends(
            says("cluster:{kind}"),
            "all tenants together ask for the usual again: {kind}",
            component="cluster",
        ),
    ),
    "publish_failed": (publish("publish_failed", "P1", "limits could not be written to Mimir"),),
    "limit_changed": (
        Telling(
            kind=CHANGES,
            priority="P3",
            component="publish",
            incident=says("revision:{revision}"),
            title=changed,
            together=True,
        ),
    ),
    "publish_refused": (
        replace(
            publish("publish_refused", "P1", "a document was held back before it was written"),
            incident=always("publish refused"),
        ),
    ),
    "publish_accepted": (
        ends(always("publish refused"), "documents are held back no more", component="publish"),
    ),
    "revision_failed": (publish("publish_failed", "P1", "Mimir did not take revision {revision}"),),
    "revision_reverted": (publish("publish_reverted", "P1", "revision {revision} was taken back"),),
    "revision_inconclusive": (
        replace(
            publish(
                "publish_inconclusive", "P2", "nobody knows whether revision {revision} is in force"
            ),
            when=lambda entry: entry.details.get("detail") != SUPERSEDED,
        ),
    ),
    "revision_confirmed": (
        ends(always("publish"), "revision {revision} is in force", component="publish"),
    ),
    "lowering_reverted": (
        Telling(
            kind="lowering_reverted",
            priority="P3",
            component="publish",
            incident=says("lowering:{tenant}"),
            title=says("{tenant}: the limit {limit} was lowered too far, and is raised again"),
            together=True,
        ),
    ),
    "drift_put_back": (
        Telling(
            kind="drift",
            priority="P2",
            component="publish",
            incident=always("drift"),
            title=says("somebody changed {limit} of {tenant} in our document; it is put back"),
            together=True,
        ),
    ),
    "drift_respected": (
        Telling(
            kind="drift",
            priority="P2",
            component="publish",
            incident=always("drift"),
            title=says("somebody changed {limit} of {tenant} in our document; it stays"),
            together=True,
        ),
    ),
    "run_failed": (
        failed("protect", kind="collection_failed", component="collection"),
        failed("optimize", kind="flow_failed", component="optimize"),
        failed("deliver", kind="flow_failed", component="alerting"),
        failed("", kind="flow_failed", component="system"),
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
            incident=always("collection"),
            title=says("{silent} of {known} processes of Mimir do not answer"),
            lasts=True,
        ),
    ),
    "collection_whole": (
        ends(always("collection"), "every process of Mimir answers", component="collection"),
    ),
    "settings_broken": (
        Telling(
            kind="settings_broken",
            priority="P2",
            component="settings",
            incident=always("settings"),
            title=says("a change of the settings cannot be used"),
            lasts=True,
        ),
    ),
    "settings_mended": (
        ends(always("settings"), "the settings can be used again", component="settings"),
    ),
    "leak_began": (
        Telling(
            kind="leak",
            priority=by_detail("kind", LEAKS),
            component="leak",
            incident=says("leak:{tenant}:{signal}"),
            title=says("{tenant}: {signal} creeps up day by day"),
            lasts=True,
        ),
    ),
    "leak_over": (
        ends(says("leak:{tenant}:{signal}"), "{tenant}: {signal} rises no more", component="leak"),
    ),
    "export_failed": (
        Telling(
            kind="audit_export_failed",
            priority="P3",
            component="audit",
            incident=says("audit:{target}"),
            title=says("the audit log cannot be handed to {target}"),
            lasts=True,
        ),
    ),
    "export_recovered": (
        ends(says("audit:{target}"), "the audit log reaches {target} again", component="audit"),
    ),
    "entries_dropped": (
        Telling(
            kind="audit_dropped",
            priority="P3",
            component="audit",
            incident=always("audit dropped"),
            title=says("the audit log was too full: {entries} entries went before their time"),
        ),
    ),
    "budget_crossed": (
        cost("budget_threshold", "{whose}: {threshold} % of the {period}'s budget"),
    ),
    "budget_burning": (cost("budget_burn", "{whose}: the {period}'s budget burns too fast"),),
    "cost_unusual": (cost("cost_anomaly", "{whose} costs far more than is usual"),),
    "budget_will_exceed": (
        cost("forecast", "{whose}: the {period}'s budget will not last by the forecast"),
    ),
    "cost_alert_over": (
        Telling(
            kind="recovery",
            priority="P3",
            component="cost-control",
            incident=of_budget,
            title=lambda entry: f"{whose(entry)}: over",
            resolves=True,
        ),
    ),
    "budget_enforced": (
        Telling(
            kind="budget_enforced",
            priority="P2",
            component="cost-control",
            incident=says("budget cap:{tenant}"),
            title=says("{tenant}: a budget that is used up caps its limits"),
            lasts=True,
        ),
    ),
    "budget_lifted": (
        ends(
            says("budget cap:{tenant}"),
            "{tenant}: no budget caps its limits any more",
            component="cost-control",
        ),
    ),
    "savings_found": (
        Telling(
            kind="recommendation",
            priority="P3",
            component="cost-control",
            incident=always("savings"),
            title=says("new recommendations to save: {new}"),
        ),
    ),
    "channel_down": (
        Telling(
            kind="channel_down",
            priority="P2",
            component="alerting",
            incident=says("channel:{channel}"),
            title=says("alerts do not reach {channel}"),
            lasts=True,
        ),
    ),
    "channel_up": (
        ends(says("channel:{channel}"), "alerts reach {channel} again", component="alerting"),
    ),
}
"""How each other action is told; the first that fits the entry counts."""
