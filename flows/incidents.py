"""Join what was raised to its incidents, and put in the outbox who is to be told of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

import polars as pl

from flows.runtime import Runtime
from policy.alerting.alert import Alert
from policy.alerting.escalation import goes_further, patience
from policy.alerting.incidents import Folded, Incident, Tells, folded
from policy.alerting.quiet import held_until
from policy.alerting.routing import Subject, Target, further, routed
from policy.cost.teams import teams_of
from policy.settings import Settings
from policy.tenancy import tiers
from storage import alerts as raised
from storage import incidents as stored
from storage import outbox

MOST_TAKEN: Final = 1_000
"""Alerts that one run takes; the next one takes the next."""
FLAPPING: Final = "it flaps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongs:
    """The team and the tier of each tenant that has one."""

    team: Mapping[str, str]
    tier: Mapping[str, str]

    @classmethod
    def of(cls, tenants: Iterable[str | None], *, settings: Settings) -> Belongs:
        """Look up the tenants; None is nobody."""
        names = pl.Series(sorted({one for one in tenants if one is not None}), dtype=pl.String())
        budgets = settings.cost_control.team_budgets
        patterns = {name: team.tenants for name, team in budgets.items()}
        found = tiers(names, mapping=settings.tenant_tier_mapping).drop_nulls()
        return cls(
            team=dict(teams_of(names, patterns=patterns).iter_rows()),
            tier=dict(found.iter_rows()),
        )

    def subject(self, incident: Incident, *, kind: str) -> Subject:
        """The incident as rules look at it."""
        tenant = incident.tenant or ""
        return Subject(
            kind=kind,
            priority=incident.priority,
            component=incident.component,
            tenant=incident.tenant,
            team=self.team.get(tenant),
            tier=self.tier.get(tenant),
        )


@dataclass(slots=True, kw_only=True)
class Post:
    """What one run puts into the outbox.

    Attributes:
        settings: who is told, and what waits.
        now: aware UTC.
        rows: OUTGOING so far.
        told: who was told of an incident, or is to be, as far as this run has asked.
    """

    settings: Settings
    now: datetime
    rows: list[dict[str, object]] = field(default_factory=list)
    told: dict[str, set[Target]] = field(default_factory=dict)

    def add(
        self,
        incident: Incident,
        targets: Iterable[Target],
        *,
        tells: Tells,
        alert: str,
        held: tuple[datetime, str] | None = None,
    ) -> datetime:
        """Tell them; `alert` is the id of the alert that the message is of.

        Returns:
            When they hear it, at the earliest.
        """
        held = held or held_until(
            self.now,
            priority=incident.priority,
            tenant=incident.tenant,
            alerting=self.settings.alerting,
        )
        for target in targets:
            name = f"{target.channel}:{target.address}:{tells}:{incident.times}"
            self.rows.append(
                {
                    "delivery": str(uuid5(UUID(alert), name)),
                    "incident": incident.incident,
                    "alert": alert,
                    "channel": target.channel,
                    "address": target.address,
                    "priority": incident.priority,
                    "tells": tells,
                    "entered_at": self.now,
                    "not_before": held[0] if held else self.now,
                    "held": held[1] if held else None,
                }
            )
            self.told.setdefault(incident.incident, set()).add(target)
        return held[0] if held else self.now

    def known(self, runtime: Runtime, incident: Incident) -> list[Target]:
        """Who was told of the incident, or is to be."""
        before = outbox.told_to(runtime.database, incident.incident)
        told = {Target(channel=channel, address=address) for channel, address in before}
        return sorted(told | self.told.get(incident.incident, set()))

    def frame(self) -> pl.DataFrame:
        """All of it (OUTGOING)."""
        return pl.DataFrame(self.rows, schema=outbox.OUTGOING)


def take_in(runtime: Runtime, settings: Settings) -> int:
    """Join what was raised to its incidents, and note who is to be told, all or nothing.

    Returns:
        How many alerts there were.
    """
    database, now = runtime.database, runtime.clock()
    with database.transaction():
        alerts = raised.untaken(database, most=MOST_TAKEN)
        if not alerts:
            return 0
        raised.take(database, alerts.keys())
        if not settings.alerting.enabled:
            return len(alerts)
        _join(runtime, alerts, post=(post := Post(settings=settings, now=now)))
        outbox.enter(database, post.frame())
        over = [row["incident"] for row in post.rows if row["tells"] == "resolved"]
        outbox.drop_what_is_over(database, sorted({str(each) for each in over}), now=now)
        gone = outbox.make_room(database, queue=settings.alerting.queue, now=now)
    for channel in gone:
        runtime.telemetry.alerts.errors.labels(channel, "queue_full").inc()
    return len(alerts)


def _join(runtime: Runtime, alerts: Mapping[str, Alert], *, post: Post) -> None:
    subjects = {alert.incident for alert in alerts.values()}
    known = stored.newest_incidents(runtime.database, subjects)
    belongs = Belongs.of((alert.tenant for alert in alerts.values()), settings=post.settings)
    changed: dict[str, Incident] = {}
    for alert_id, alert in alerts.items():
        found = folded(known.get(alert.incident), alert, alert_id=alert_id)
        if found.incident is None:
            continue
        known[alert.incident] = changed[found.incident.incident] = found.incident
        if found.goes_on:
            outbox.forget_held(
                runtime.database, found.incident.incident, held=FLAPPING, now=post.now
            )
            post.rows = [
                row
                for row in post.rows
                if row["incident"] != found.incident.incident or row["held"] != FLAPPING
            ]
        if found.tells is not None:
            heard_at = _post(
                runtime, found, found.incident, alert=(alert_id, alert), belongs=belongs, post=post
            )
            heard = replace(found.incident, told_at=heard_at)
            known[alert.incident] = changed[found.incident.incident] = heard
    stored.keep_incidents(runtime.database, list(changed.values()))


def _post(
    runtime: Runtime,
    found: Folded,
    incident: Incident,
    *,
    alert: tuple[str, Alert],
    belongs: Belongs,
    post: Post,
) -> datetime:
    alert_id, told = alert
    if found.tells == "resolved":
        waits = None if found.waits is None else (told.at + found.waits, FLAPPING)
        targets: Sequence[Target] = post.known(runtime, incident)
        return post.add(incident, targets, tells="resolved", alert=alert_id, held=waits)
    subject = belongs.subject(incident, kind=told.kind)
    # What is wrong with a channel is told on the others.
    blind = incident.subject.removeprefix("channel:") if told.kind == "channel_down" else None
    wanted = routed(subject, alerting=post.settings.alerting)
    targets = [target for target in wanted if target.channel != blind]
    return post.add(incident, targets, tells="firing", alert=alert_id)


def go_further(runtime: Runtime, settings: Settings) -> int:
    """Tell more people of what nobody answered, and the channels of what somebody sees to.

    Returns:
        How many incidents went further.
    """
    database, now = runtime.database, runtime.clock()
    with database.transaction():
        waiting = stored.unanswered(database)
        answered = stored.newly_acknowledged(database)
        post = Post(settings=settings, now=now)
        belongs = Belongs.of((each.tenant for each in waiting), settings=settings)
        went = [each for each in waiting if _went(runtime, each, belongs=belongs, post=post)]
        for each in answered:
            alert = outbox.newest_alert(database, each.incident)
            post.add(each, post.known(runtime, each), tells="acknowledged", alert=alert)
        stored.keep_incidents(
            database,
            [
                *(replace(each, escalated_at=now) for each in went),
                *(replace(each, acknowledgement_told=True) for each in answered),
            ],
        )
        outbox.enter(database, post.frame())
    return len(went)


def tell_anew(runtime: Runtime, *, channel: str, every: timedelta) -> None:
    """Tell a channel that forgets what lasts, once more."""
    now = runtime.clock()
    with runtime.database.transaction():
        found = outbox.fading(runtime.database, channel=channel, before=now - every)
        rows = [
            {
                **row,
                "delivery": str(uuid5(UUID(row["alert"]), f"{channel}:{row['address']}:{now}")),
                "channel": channel,
                "tells": "again",
                "entered_at": now,
                "not_before": now,
                "held": None,
            }
            for row in found.iter_rows(named=True)
        ]
        outbox.enter(runtime.database, pl.DataFrame(rows, schema=outbox.OUTGOING))
        outbox.forget_told_anew(runtime.database, channel=channel, before=now - 2 * every)


def _went(runtime: Runtime, incident: Incident, *, belongs: Belongs, post: Post) -> bool:
    subject = belongs.subject(incident, kind=incident.kind)
    alerting = post.settings.alerting
    if not goes_further(incident, subject=subject, alerting=alerting, now=post.now):
        return False
    told = post.known(runtime, incident)
    new = [target for target in further(subject, alerting=alerting) if target not in told]
    # Nobody else is there to be told: the same people hear that nobody answered yet.
    again = told if patience(subject, alerting=alerting) else []
    alert = outbox.newest_alert(runtime.database, incident.incident)
    post.add(incident, new or again, tells="escalated", alert=alert)
    return True
