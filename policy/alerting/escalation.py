"""What goes further because nobody answered."""

from __future__ import annotations

from datetime import datetime, timedelta

from policy.alerting.incidents import Incident
from policy.alerting.routing import Subject, route_of
from policy.settings.alerting import Alerting


def patience(subject: Subject, *, alerting: Alerting) -> timedelta:
    """How long an incident that was told waits for an answer before it goes further."""
    route = route_of(subject, alerting=alerting)
    if route is not None and route.escalation is not None:
        return route.escalation
    return alerting.escalation[subject.priority]


def goes_further(
    incident: Incident, *, subject: Subject, alerting: Alerting, now: datetime
) -> bool:
    """Whether it is time: it lasts, nobody sees to it, and it has not gone further already.

    What is simulated goes no further: nobody is to be woken by a dry run.
    """
    waits = incident.lasts and incident.state == "firing" and incident.escalated_at is None
    if not waits or incident.simulated:
        return False
    return now - incident.told_at >= patience(subject, alerting=alerting)
