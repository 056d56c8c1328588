"""What is worth telling, as a value.

Alerts of one `incident` belong together: the first that fires opens it, one that resolves ends it.
Names of tenants and reasons are text as it came from outside; each channel escapes and cuts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from policy.settings.channels import Priority

Severity = Literal["critical", "warning", "info"]
State = Literal["firing", "acknowledged", "resolved"]

PRIORITIES: Final[tuple[Priority, ...]] = get_args(Priority)
SEVERITY_OF: Final[Mapping[Priority, Severity]] = {
    "P0": "critical",
    "P1": "critical",
    "P2": "warning",
    "P3": "info",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something that happened once.

    Attributes:
        at: when, aware UTC.
        kind: what it is, like `breaker` or `budget_threshold`; docs/alerting.md lists them.
        priority: P0, the worst, to P3.
        component: the part of the system that it comes from, like `circuit-breaker`.
        incident: alerts of one incident share it, for ever the same for the same subject.
        title: one line.
        reason: why, in a sentence or two.
        tenant: whom it is about; None: nobody in particular.
        evidence: named figures, in the order in which they are shown.
        resolves: it is the end of its incident.
        lasts: it is over only when another alert says so; else telling it is all there is.
        run_id: the Prefect run that saw it.
        simulated: a dry run: nothing was done of what it says.
    """

    at: datetime
    kind: str
    priority: Priority
    component: str
    incident: str
    title: str
    reason: str
    tenant: str | None = None
    evidence: Mapping[str, str]
    resolves: bool = False
    lasts: bool = False
    run_id: str | None = None
    simulated: bool = False

    @property
    def severity(self) -> Severity:
        """Critical, warning or info."""
        return SEVERITY_OF[self.priority]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One alert as one channel is to tell it.

    Attributes:
        delivery: the same at every try, so that who hears it twice can tell.
        alert: what happened.
        state: of its incident, as this message tells it.
        priority: of the incident; escalation may have raised it above the alert's own.
        opened_at: when the incident began, aware UTC.
        times: how many alerts of the incident have fired so far.
        team: of the tenant; None: no team, or no tenant.
        cluster: the name of the Mimir that it is about.
        run_url: the Prefect run; None where it is not known.
        runbook_url: what to do about it.
        thread: what the channel answered to the first message of the incident; None: this is it,
            or the channel knows no threads.
    """

    delivery: str
    alert: Alert
    state: State
    priority: Priority
    opened_at: datetime
    times: int
    team: str | None
    cluster: str
    run_url: str | None
    runbook_url: str | None
    thread: str | None = None
