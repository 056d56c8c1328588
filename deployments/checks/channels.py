"""Whether alerts can reach the channels that are enabled; nobody is told anything."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from deployments.checks.check import Check, failed, ok, skipped
from policy.errors import OptimizerError
from policy.settings import Settings
from tasks.channels import Line, lines_of

MEND = "correct alerting.{channel}, then see `mlo alerts test --channel {channel}`"


async def check_channels(settings: Settings) -> list[Check]:
    """One check of each channel that is enabled, all at once."""
    if not settings.alerting.enabled:
        return [skipped("alerts", "alerting.enabled is false: nobody is told anything")]
    lines = lines_of(settings.alerting, clock=lambda: datetime.now(UTC))
    if not lines:
        return [skipped("alerts", "no channel is enabled: nobody is told anything")]
    return list(await asyncio.gather(*map(_check, lines)))


async def _check(line: Line) -> Check:
    name, mend = f"alerts: {line.name}", MEND.format(channel=line.name)
    if line.channel is None:
        return failed(name, line.problem or "its settings are not enough", mend=mend)
    seconds = line.settings.timeout.total_seconds()
    try:
        async with asyncio.timeout(seconds):
            await line.channel.check()
    except OptimizerError as exc:
        return failed(name, str(exc), mend=mend)
    except TimeoutError:
        return failed(name, f"no answer within {seconds:g}s", mend=mend)
    return ok(name, "the way is open; `mlo alerts test` sends a message over it")
