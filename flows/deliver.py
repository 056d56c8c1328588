"""The outbox loop: who is to be told, who was, which channel works."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Final

from prefect import flow

from flows.auditing import note
from flows.deliver_words import deliver_report
from flows.incidents import Belongs, go_further, take_in, tell_anew
from flows.run_names import run_name
from flows.runtime import Run, Runtime, current
from policy.alerting.alert import Alert, Message, State
from policy.alerting.incidents import Tells
from policy.alerting.patience import Standing, ready, rules_of
from policy.errors import Conflict
from policy.settings import Settings
from storage import outbox
from storage.alerts import read_alerts
from storage.outbox import Due
from tasks.alert_entries import channel_turned
from tasks.audit_entries import Turn
from tasks.channels import Line, lines_of
from tasks.deliver import Desk, checked, drain
from tasks.say import Event, say
from tasks.tell import tell

_log = logging.getLogger(__name__)

STATES: Final[Mapping[Tells, State]] = {
    "firing": "firing",
    "again": "firing",
    "escalated": "firing",
    "acknowledged": "acknowledged",
    "resolved": "resolved",
}


@flow(name="deliver", timeout_seconds=120, validate_parameters=False, persist_result=False)
async def deliver() -> None:
    """Take in what was raised, tell what waits, try what did not work, and say where it stands."""
    runtime = current()
    with runtime.run("deliver") as run:
        await deliver_once(runtime, run)


async def deliver_once(runtime: Runtime, run: Run) -> None:
    """One round of the outbox."""
    settings = runtime.settings()
    taken = _unless_in_the_way(take_in, runtime, settings)
    if not settings.alerting.enabled:
        runtime.telemetry.alerts.channels.show({}, waiting=outbox.waiting(runtime.database))
        return
    further = _unless_in_the_way(go_further, runtime, settings)
    lines = lines_of(settings.alerting, clock=runtime.clock)
    before = outbox.read_channels(runtime.database)
    _give_up_without_channel(runtime, lines)
    for line in lines:
        if line.channel is not None and line.channel.resends_every is not None:
            tell_anew(runtime, channel=line.name, every=line.channel.resends_every)
    desk = _desk(runtime, run, settings)
    stands = [_stands(runtime, line, known=before.get(line.name, Standing())) for line in lines]
    found = await asyncio.gather(
        *(
            _served(line, desk=desk, standing=standing)
            for line, standing in zip(lines, stands, strict=True)
        )
    )
    after = {line.name: standing for line, standing in zip(lines, found, strict=True)}
    _keep(runtime, run, settings, before=before, after=after)
    _say_what_is_new(runtime, lines)
    runtime.memory.channels = {line.name: line.settings for line in lines}
    waiting = outbox.waiting(runtime.database)
    runtime.telemetry.alerts.channels.show(after, waiting=waiting)
    run.summary.update(alerts=taken, escalated=further, waiting=int(waiting["messages"].sum()))
    if taken or further or not waiting.is_empty():
        await tell(
            deliver_report(after, waiting=waiting, taken=taken, escalated=further),
            key="deliver",
            description="Which alerts are on their way, and which channels work.",
            name=run_name("deliver", run.summary),
        )


def _say_what_is_new(runtime: Runtime, lines: Sequence[Line]) -> None:
    """Say of each channel that it is there, at the first round and when its settings change."""
    known = runtime.memory.channels
    say(
        Event(
            component="alerting",
            action="channel initialized",
            words=f"alerting: channel {line.name} initialized",
            details={"channel": line.name},
        )
        for line in lines
        if line.channel is not None and known.get(line.name) != line.settings
    )


def _unless_in_the_way(
    work: Callable[[Runtime, Settings], int], runtime: Runtime, settings: Settings
) -> int:
    """Do it; where a person changes the same incident at this moment, the next round does."""
    try:
        return work(runtime, settings)
    except Conflict:
        return 0


async def _served(line: Line, *, desk: Desk, standing: Standing) -> Standing:
    """Tell what waits for the channel, and check the way where nothing was told for a while."""
    if line.channel is None:
        return standing
    seconds, now = line.settings.timeout.total_seconds(), desk.clock()
    if outbox.due(desk.database, channel=line.name, now=now, most=1):
        standing = await drain(line.channel, desk=desk, standing=standing, timeout_seconds=seconds)
    standing = ready(standing, rules=rules_of(line.name), now=now)
    if _to_check(standing, every=desk.alerting.check_interval, now=now):
        return await checked(line.channel, desk=desk, standing=standing, timeout_seconds=seconds)
    return standing


def _to_check(standing: Standing, *, every: timedelta, now: datetime) -> bool:
    """Whether it is time: what is being tried is tried in each round."""
    if standing.breaker == "open" or standing.checked_at == now:
        return False
    overdue = standing.checked_at is None or now - standing.checked_at >= every
    return standing.breaker == "half-open" or overdue


def _stands(runtime: Runtime, line: Line, *, known: Standing) -> Standing:
    """Where the channel stands before this round, by its settings."""
    now = runtime.clock()
    if line.channel is None:
        if known.problem != line.problem:
            runtime.telemetry.alerts.configuration_errors.labels(line.name, "incomplete").inc()
            _log.warning("alerting: %s config error: %s", line.name, line.problem)
        since = known.since if known.breaker == "open" else now
        return replace(known, breaker="open", since=since, problem=line.problem)
    # What somebody has changed is tried at once.
    former = runtime.memory.channels.get(line.name, line.settings)
    if known.breaker == "open" and former != line.settings:
        found = replace(known, breaker="half-open", since=now, worked=0, not_before=None)
    else:
        found = ready(known, rules=rules_of(line.name), now=now)
    if found.breaker == "half-open" != known.breaker:
        say([_trial_event(line.name)])
    return found


def _keep(
    runtime: Runtime,
    run: Run,
    settings: Settings,
    *,
    before: Mapping[str, Standing],
    after: Mapping[str, Standing],
) -> None:
    """Keep where the channels stand, and tell which cannot be used any more, or can again."""
    entries = []
    with runtime.database.transaction():
        for channel in sorted({*before, *after}):
            then, now = before.get(channel, Standing()), after.get(channel)
            if now != before.get(channel):
                outbox.keep_channel(runtime.database, channel, now)
            turn = _turn(then, now)
            if turn is not None:
                say([_turn_event(channel, turn)])
                entries.append(
                    channel_turned(turn, channel=channel, run_id=run.run_id, at=runtime.clock())
                )
        note(runtime, settings, entries)


def _turn_event(channel: str, turn: Turn) -> Event:
    how = "reached again" if turn.works else f"left alone: {turn.problem}"
    return Event(
        component="alerting",
        action="channel reached again" if turn.works else "channel left alone",
        words=f"alerting: {channel} is {how}",
        details={"channel": channel, "error": turn.problem},
    )


def _trial_event(channel: str) -> Event:
    return Event(
        component="alerting",
        action="circuit breaker half-open",
        words=f"alerting: the circuit breaker of {channel} is half-open: it is tried again",
        details={"channel": channel},
    )


def _turn(then: Standing, now: Standing | None) -> Turn | None:
    worked, works = then.breaker == "closed", now is None or now.breaker == "closed"
    if worked is works:
        return None
    if now is None:
        return Turn(works=True, problem="it is not enabled any more")
    return Turn(works=works, problem=(then if works else now).problem or "")


def _give_up_without_channel(runtime: Runtime, lines: Sequence[Line]) -> None:
    gone = outbox.give_up_without_channel(
        runtime.database,
        channels=[line.name for line in lines],
        now=runtime.clock(),
        problem="the channel is not enabled any more",
        kind="channel_not_found",
    )
    for channel in gone:
        runtime.telemetry.alerts.errors.labels(channel, "channel_not_found").inc()


def _desk(runtime: Runtime, run: Run, settings: Settings) -> Desk:
    alerting = settings.alerting

    def messages(together: Sequence[Due]) -> list[Message]:
        alerts = read_alerts(runtime.database, {due.alert for due in together})
        belongs = Belongs.of((alert.tenant for alert in alerts.values()), settings=settings)
        return [message(due, alerts[due.alert], belongs=belongs) for due in together]

    def message(due: Due, alert: Alert, *, belongs: Belongs) -> Message:
        links = alerting.prefect_url if alert.run_id else None
        return Message(
            delivery=due.delivery,
            alert=alert,
            state=STATES[due.tells],
            priority=due.priority,
            opened_at=due.opened_at,
            times=due.times,
            team=belongs.team.get(alert.tenant or ""),
            cluster=alerting.cluster or settings.mimir.namespace,
            run_url=f"{links}/runs/flow-run/{alert.run_id}" if links else None,
            runbook_url=f"{alerting.runbook_url}#{alert.kind}" if alerting.runbook_url else None,
            thread=due.thread,
        )

    return Desk(
        database=runtime.database,
        alerting=alerting,
        clock=runtime.clock,
        random=Random(run.run_id),  # noqa: S311 - delays are no secret
        metrics=runtime.telemetry.alerts,
        messages=messages,
        audit=settings.audit_log.enabled,
        run_id=run.run_id,
    )
