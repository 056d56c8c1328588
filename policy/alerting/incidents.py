"""An incident: what alerts of one subject have in common, from the first to the one that ends it.

People hear when it begins, when it gets worse, when something new is known of it, and when it is
over; not each time that it is seen again. What comes back soon after it was over goes on where it
was, so that something that flaps is one incident, and is told no more than once in a while.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from policy.alerting.alert import Alert
from policy.settings.channels import Priority

State = Literal["firing", "acknowledged", "resolved", "told"]
Tells = Literal["firing", "again", "escalated", "acknowledged", "resolved"]

REPEATED_AFTER: Final = timedelta(hours=4)
"""What lasts and is seen again is told again after that."""
FLAPS_WITHIN: Final = timedelta(minutes=10)
"""What comes back within that time after its end is the same incident."""
MOST_FLAPS: Final = 3
"""How often coming back is told; from then on its end is told when it stayed over for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Where an incident stands.

    Attributes:
        incident: its id: that of the alert that opened it.
        subject: `Alert.incident`.
        kind: of the alert that opened it.
        component: of the same.
        tenant: of the same.
        priority: the highest that its alerts had.
        state: firing, acknowledged, or resolved; `told` where nothing lasts.
        title: of its newest alert that is as urgent as any before it, or of its end.
        lasts: whether it ends.
        simulated: whether all of it is a dry run.
        times: how many of its alerts fired.
        opened_at: aware UTC.
        newest_at: of its newest alert.
        told_at: when people last heard something of it, or will: not before quiet hours are over.
        kinds: of all its alerts, in words apart by a comma.
        flaps: how often it came back.
        over_at: when it was last over.
        escalated_at: when it went further, because nobody answered.
        acknowledged_at: when somebody said that they see to it.
        acknowledged_by: who.
        acknowledgement_told: whether the channels know that.
    """

    incident: str
    subject: str
    kind: str
    component: str
    tenant: str | None
    priority: Priority
    state: State
    title: str
    lasts: bool
    simulated: bool
    times: int
    opened_at: datetime
    newest_at: datetime
    told_at: datetime
    kinds: str
    flaps: int = 0
    over_at: datetime | None = None
    escalated_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    acknowledgement_told: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.state in {"firing", "acknowledged"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """What an alert makes of its incident.

    Attributes:
        incident: as it stands now; None: there is none, and the alert ends nothing.
        tells: what people are to be told; None: nothing, it is no news.
        waits: for how long that is held back.
        goes_on: an end that is still held back is not told: it was none.
    """

    incident: Incident | None
    tells: Tells | None
    waits: timedelta | None = None
    goes_on: bool = False


def folded(known: Incident | None, alert: Alert, *, alert_id: str) -> Folded:
    """Join an alert to the newest incident of its subject.

    Args:
        known: that incident, open or not; None: there never was one.
        alert: what happened.
        alert_id: of the alert; the id of the incident, where it opens one.
    """
    if alert.resolves:
        return _resolved(known, alert)
    if known is None or not alert.lasts:
        return _opened(alert, alert_id=alert_id)
    if known.is_open:
        return _seen_again(known, alert)
    comes_back = known.over_at is not None and alert.at - known.over_at < FLAPS_WITHIN
    return _back(known, alert) if comes_back else _opened(alert, alert_id=alert_id)


def _opened(alert: Alert, *, alert_id: str) -> Folded:
    opened = Incident(
        incident=alert_id,
        subject=alert.incident,
        kind=alert.kind,
        component=alert.component,
        tenant=alert.tenant,
        priority=alert.priority,
        state="firing" if alert.lasts else "told",
        title=alert.title,
        lasts=alert.lasts,
        simulated=alert.simulated,
        times=1,
        opened_at=alert.at,
        newest_at=alert.at,
        told_at=alert.at,
        kinds=alert.kind,
    )
    return Folded(incident=opened, tells="firing")


def _seen_again(known: Incident, alert: Alert) -> Folded:
    worse = alert.priority < known.priority
    new = alert.kind not in known.kinds.split(",")
    news = worse or new or alert.at - known.told_at >= REPEATED_AFTER
    now = replace(
        known,
        priority=min(known.priority, alert.priority),
        # Whoever sees to it has not seen that it got worse.
        state="firing" if worse else known.state,
        # What is known besides is no headline.
        title=alert.title if alert.priority <= known.priority else known.title,
        simulated=known.simulated and alert.simulated,
        times=known.times + 1,
        newest_at=alert.at,
        told_at=alert.at if news else known.told_at,
        kinds=f"{known.kinds},{alert.kind}" if new else known.kinds,
        escalated_at=None if worse else known.escalated_at,
    )
    return Folded(incident=now, tells="firing" if news else None)


def _back(known: Incident, alert: Alert) -> Folded:
    flaps = known.flaps + 1
    told = flaps <= MOST_FLAPS
    seen = _seen_again(known, alert).incident or known
    back = replace(
        seen,
        state="firing",
        flaps=flaps,
        over_at=None,
        told_at=alert.at if told else known.told_at,
        escalated_at=None,
    )
    return Folded(incident=back, tells="firing" if told else None, goes_on=not told)


def _resolved(known: Incident | None, alert: Alert) -> Folded:
    if known is None or not known.is_open:
        return Folded(incident=None, tells=None)
    over = replace(
        known,
        state="resolved",
        title=alert.title,
        newest_at=alert.at,
        told_at=alert.at,
        over_at=alert.at,
    )
    flapping = known.flaps >= MOST_FLAPS
    return Folded(incident=over, tells="resolved", waits=FLAPS_WITHIN if flapping else None)
