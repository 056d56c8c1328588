"""Send a real message over each channel, and say what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

from policy.alerting.alert import Alert, Message
from policy.errors import ConfigError, OptimizerError
from policy.settings import Settings
from tasks.channels import Line, lines_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What became of a test; `problem` None: the channel took the message."""

    channel: str
    problem: str | None


def try_channels(
    settings: Settings, *, channels: Sequence[str], now: datetime, by: str
) -> list[Tested]:
    """Send a test message over these channels, or over all that are enabled.

    Raises:
        ConfigError: one of them is not enabled, or none is.
    """
    lines = {line.name: line for line in lines_of(settings.alerting, clock=lambda: now)}
    if not lines:
        raise ConfigError("no channel is enabled: see `alerting` in docs/configuration.md")
    for name in channels:
        if name not in lines:
            raise ConfigError(f"{name} is not enabled; these are: {', '.join(lines)}")
    wanted = [lines[name] for name in channels] or list(lines.values())
    message = _message(settings, now=now, by=by)
    return asyncio.run(_all(wanted, message=message))


async def _all(lines: Sequence[Line], *, message: Message) -> list[Tested]:
    return list(await asyncio.gather(*(_one(line, message=message) for line in lines)))


async def _one(line: Line, *, message: Message) -> Tested:
    if line.channel is None:
        return Tested(channel=line.name, problem=line.problem)
    seconds = line.settings.timeout.total_seconds()
    try:
        async with asyncio.timeout(seconds + 5):
            thread = await line.channel.send([message], address=None)
            over = replace(message, state="resolved", delivery=str(uuid4()), thread=thread)
            await line.channel.send([over], address=None)
    except OptimizerError as exc:
        return Tested(channel=line.name, problem=str(exc))
    except TimeoutError:
        return Tested(channel=line.name, problem=f"no answer within {seconds:g}s")
    return Tested(channel=line.name, problem=None)


def _message(settings: Settings, *, now: datetime, by: str) -> Message:
    alert = Alert(
        at=now,
        kind="test",
        priority="P3",
        component="alerting",
        incident=f"test:{uuid4()}",
        title="a test of this channel",
        reason=f"{by} said `mlo alerts test`; nothing is wrong, and it is over at once",
        evidence={},
        lasts=True,
    )
    return Message(
        delivery=str(uuid4()),
        alert=alert,
        state="firing",
        priority=alert.priority,
        opened_at=now,
        times=1,
        team=None,
        cluster=settings.alerting.cluster or settings.mimir.namespace,
        run_url=None,
        runbook_url=None,
    )
