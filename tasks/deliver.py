"""Tell what waits in the outbox for one channel, and note what became of each message.

A try and its result are noted together after it: a process that dies in between tells the message
once more, with the same delivery id. One channel is one task, so that one that hangs holds up
nobody else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from time import perf_counter
from typing import Any, Final, Literal

from policy.alerting.alert import Message
from policy.alerting.patience import (
    Standing,
    admitted,
    after_failure,
    after_success,
    delay,
    ready,
    rules_of,
)
from policy.audit import AuditEntry, logged
from policy.settings.alerting import Alerting, Retry
from storage import outbox
from storage.audit import append_audit
from storage.database import Database
from storage.outbox import Due
from tasks.alert_entries import TryOutcome, delivery_tried
from tasks.alert_metrics import AlertMetrics
from tasks.channels.base import (
    Channel,
    ChannelMisconfigured,
    ChannelUnavailable,
    MessageRefused,
)
from tasks.retry import retry_policy
from tasks.step import step

Fault = Literal["timeout", "send_failed", "invalid_config"]

LONGEST_SECONDS: Final = 45.0  # of one channel in one run
AT_ONCE: Final = 500
_GRACE_SECONDS: Final = 5.0  # beyond the time-out of the channel itself
_DAY_SECONDS: Final = 86_400.0
_MINUTE: Final = timedelta(minutes=1)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """What became of one try.

    Attributes:
        seconds: how long it took.
        thread: what the channel answered.
        problem: why it failed; None: it went well.
        fault: of which kind that is.
        refused: the message is to blame, and not the channel.
        hopeless: the channel cannot work until somebody changes something.
        retry_after: how long the service wants to be left alone.
    """

    seconds: float
    thread: str | None = None
    problem: str | None = None
    fault: Fault | None = None
    refused: bool = False
    hopeless: bool = False
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Desk:
    """What every channel of a run works with.

    Attributes:
        database: the history.
        alerting: the settings.
        clock: aware UTC.
        random: for delays.
        metrics: what is counted.
        messages: what is to be told, of deliveries on a channel, in their order.
        audit: whether tries are entered into the audit log.
        run_id: of the run.
    """

    database: Database
    alerting: Alerting
    clock: Callable[[], datetime]
    random: Random
    metrics: AlertMetrics
    messages: Callable[[Sequence[Due]], list[Message]]
    audit: bool
    run_id: str


@step(
    name="deliver",
    task_run_name="tell {channel.name}",
    **retry_policy(retries=0, timeout_seconds=90),
)
async def drain(
    channel: Channel, *, desk: Desk, standing: Standing, timeout_seconds: float
) -> Standing:
    """Try every message of the channel whose time has come, until one fails; where it stands then.

    Args:
        channel: whom to tell.
        desk: what to work with.
        standing: where the channel stood.
        timeout_seconds: the longest that one try may take by the settings of the channel.
    """
    rules, began = rules_of(channel.name), perf_counter()
    while perf_counter() - began < LONGEST_SECONDS:
        now = desk.clock()
        standing = ready(standing, rules=rules, now=now)
        most = _most(channel, desk=desk, standing=standing, now=now)
        batch = outbox.due(desk.database, channel=channel.name, now=now, most=AT_ONCE)
        if batch and most == 0 and standing.breaker == "open":
            desk.metrics.errors.labels(channel.name, "circuit_breaker_open").inc()
        if not batch or most == 0:
            return standing
        above = desk.alerting.group_above
        for together in _grouped(batch, many=channel.takes_many, above=above)[:most]:
            found = await _tried(channel, together, desk=desk, timeout_seconds=timeout_seconds)
            standing = _noted(channel.name, together, found, desk=desk, standing=standing)
            if found.problem is not None and not found.refused:
                return standing
            if perf_counter() - began >= LONGEST_SECONDS:
                break
    return standing


async def checked(
    channel: Channel, *, desk: Desk, standing: Standing, timeout_seconds: float
) -> Standing:
    """Try the way of a message without telling anybody; where the channel stands then."""

    async def check() -> None:
        await channel.check()

    found = await _attempt(check, timeout_seconds=timeout_seconds)
    if found.fault is not None:
        desk.metrics.errors.labels(channel.name, found.fault).inc()
        _log.warning("alerting: %s error: the check: %s", channel.name, found.problem)
    stands = _stands(channel.name, found, desk=desk, standing=standing, message=False)
    outbox.keep_channel(desk.database, channel.name, stands)
    return stands


def _most(channel: Channel, *, desk: Desk, standing: Standing, now: datetime) -> int:
    """How many sends are allowed now, by the breaker and by the rate.

    A channel that is told anew is read by a program, which needs no protection from many.
    """
    if channel.resends_every is not None:
        may = admitted(standing, rules=rules_of(channel.name), now=now)
        return AT_ONCE if may is None else may
    sent = outbox.sent_since(desk.database, channel=channel.name, since=now - _MINUTE)
    left = max(0, desk.alerting.most_per_minute - sent)
    may = admitted(standing, rules=rules_of(channel.name), now=now)
    return left if may is None else min(may, left)


def _grouped(batch: Sequence[Due], *, many: bool, above: int) -> list[list[Due]]:
    """What is told at once: many of one kind as one list, where the channel can; else each alone.

    The most urgent first, and of these the oldest.
    """
    kinds: dict[tuple[str, str, str, str], list[Due]] = {}
    for each in batch:
        kinds.setdefault((each.priority, each.address, each.kind, each.tells), []).append(each)
    groups: list[list[Due]] = []
    for alike in kinds.values():
        groups += [alike] if many and len(alike) > above else [[each] for each in alike]
    return groups


async def _tried(
    channel: Channel, together: Sequence[Due], *, desk: Desk, timeout_seconds: float
) -> Try:
    messages = desk.messages(together)
    address = together[0].address or None

    async def send() -> str | None:
        return await channel.send(messages, address=address)

    return await _attempt(send, timeout_seconds=timeout_seconds)


async def _attempt(
    work: Callable[[], Coroutine[None, None, str | None]], *, timeout_seconds: float
) -> Try:
    """Do it once; whatever a channel raises is no more than a failed try."""
    began = perf_counter()

    def failed(problem: BaseException, fault: Fault, **more: Any) -> Try:  # noqa: ANN401 - of Try
        seconds = perf_counter() - began
        return Try(seconds=seconds, problem=str(problem), fault=fault, **more)

    try:
        async with asyncio.timeout(timeout_seconds + _GRACE_SECONDS):
            thread = await work()
    except MessageRefused as exc:
        return failed(exc, "send_failed", refused=True)
    except ChannelMisconfigured as exc:
        return failed(exc, "invalid_config", hopeless=True)
    except ChannelUnavailable as exc:
        wanted = exc.retry_after_seconds
        return failed(
            exc,
            "timeout" if exc.timeout else "send_failed",
            retry_after=None if wanted is None else timedelta(seconds=min(wanted, _DAY_SECONDS)),
        )
    except TimeoutError:
        silence = TimeoutError(f"no answer within {timeout_seconds:g}s")
        return failed(silence, "timeout")
    except Exception as exc:  # noqa: BLE001 - a channel with a defect must not stop the others
        _log.exception("a defect of ours, please report it")
        return failed(RuntimeError(type(exc).__name__), "send_failed")
    return Try(seconds=perf_counter() - began, thread=thread)


def _noted(
    channel: str, together: Sequence[Due], found: Try, *, desk: Desk, standing: Standing
) -> Standing:
    """Keep what became of the messages, all or nothing; where the channel stands then."""
    now, database = desk.clock(), desk.database
    stands = _stands(channel, found, desk=desk, standing=standing)
    with database.transaction():
        if found.problem is None:
            outbox.end(database, [each.delivery for each in together], state="delivered", now=now)
            if found.thread is not None and len(together) == 1:
                outbox.keep_thread(
                    database,
                    incident=together[0].incident,
                    channel=channel,
                    address=together[0].address,
                    thread=found.thread,
                )
        for each in together if found.problem is not None else ():
            _keep_failure(each, found, desk=desk, now=now)
        outbox.keep_channel(database, channel, stands)
        # What is told anew each minute and taken is no news.
        news = [each for each in together if each.tells != "again" or found.problem is not None]
        entries = [_entry(channel, each, found, desk=desk) for each in news]
        append_audit(database, logged(entries, on=desk.audit))
    _count(channel, together, found, desk=desk, now=now)
    return stands


def _keep_failure(each: Due, found: Try, *, desk: Desk, now: datetime) -> None:
    retry, problem = desk.alerting.retry, found.problem or ""
    kind = found.fault or "send_failed"
    if _is_last(each, found, retry=retry):
        outbox.end(
            desk.database, [each.delivery], state="dead", now=now, problem=problem, kind=kind
        )
        return
    wait = found.retry_after or delay(each.attempts + 1, retry=retry, random=desk.random)
    outbox.postpone(
        desk.database, [each.delivery], not_before=now + wait, problem=problem, kind=kind
    )


def _is_last(each: Due, found: Try, *, retry: Retry) -> bool:
    return found.refused or each.attempts + 1 >= retry.attempts


def _stands(
    channel: str, found: Try, *, desk: Desk, standing: Standing, message: bool = True
) -> Standing:
    rules, now = rules_of(channel), desk.clock()
    if found.problem is None or found.refused:
        return after_success(standing, rules=rules, now=now, message=message and not found.refused)
    if found.hopeless and standing.problem != found.problem:
        desk.metrics.configuration_errors.labels(channel, "refused").inc()
    return after_failure(
        standing,
        rules=rules,
        now=now,
        problem=found.problem,
        retry_after=found.retry_after,
        hopeless=found.hopeless,
    )


def _entry(channel: str, each: Due, found: Try, *, desk: Desk) -> AuditEntry:
    last = found.problem is not None and _is_last(each, found, retry=desk.alerting.retry)
    return delivery_tried(
        each,
        channel=channel,
        outcome=TryOutcome(seconds=found.seconds, problem=found.problem, given_up=last),
        run_id=desk.run_id,
        at=desk.clock(),
    )


def _count(channel: str, together: Sequence[Due], found: Try, *, desk: Desk, now: datetime) -> None:
    metrics = desk.metrics
    metrics.seconds.labels(channel).observe(found.seconds)
    if found.fault is not None:
        metrics.errors.labels(channel, found.fault).inc()
        what = "config error" if found.hopeless else "error"
        _log.warning("alerting: %s %s: %s", channel, what, found.problem)
    for each in together:
        if each.attempts:
            metrics.retries.labels(channel, each.kind).inc()
        if found.problem is None:
            result = "success"
            waited = max(0.0, (now - each.entered_at).total_seconds())
            metrics.response_seconds.labels(channel).observe(waited)
        else:
            result = "dead" if _is_last(each, found, retry=desk.alerting.retry) else "failure"
        metrics.deliveries.labels(channel, each.kind, result).inc()
