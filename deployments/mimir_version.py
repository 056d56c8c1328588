"""Which version of Mimir runs, asked by a command that has to know which names it takes."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from policy.errors import OptimizerError
from policy.scrape import Pod
from policy.settings import Settings


async def running_version(settings: Settings) -> str | None:
    """What the first process that answers says; None when none does."""
    from tasks.discover import discover  # noqa: PLC0415 - rarely needed, and slow to import
    from tasks.http import client_of  # noqa: PLC0415 - as above
    from tasks.mimir import build_version  # noqa: PLC0415 - as above

    pods: tuple[Pod, ...] = ()
    with suppress(OptimizerError):
        pods = await discover(settings, clock=lambda: datetime.now(UTC))
    async with client_of(settings.mimir) as client:
        for pod in pods:
            with suppress(OptimizerError):
                return await build_version(pod.url, client=client)
    return None
