"""Have processes of Mimir collect garbage now: Go's heap profile does so before it answers.

The profile itself is not read. Many a cluster does not expose it; then nothing is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from policy.errors import OptimizerError
from policy.settings import Settings
from tasks.http import client_of, get
from tasks.retry import retry_policy
from tasks.step import step

_PATH: Final = "/debug/pprof/heap"
_NOT_FOUND: Final = 404


@step(
    name="force-gc",
    task_run_name="collect garbage in {addresses}",
    **retry_policy(retries=0, timeout_seconds=60),
)
async def force_gc(addresses: Mapping[str, str], *, settings: Settings) -> dict[str, str | None]:
    """Ask each process once.

    Args:
        addresses: base URLs by the names of the processes.
        settings: how Mimir is spoken to.

    Returns:
        Why it was not done, by process; None where it was.
    """
    async with client_of(settings.mimir, performance=settings.performance) as client:

        async def ask(base_url: str) -> str | None:
            url = f"{base_url.rstrip('/')}{_PATH}"
            try:
                response = await get(client, url, params={"gc": "1"}, allow=(_NOT_FOUND,))
            except OptimizerError as problem:
                return str(problem)
            exposed = response.status_code != _NOT_FOUND
            return None if exposed else f"{_PATH} is not exposed; expose it or leave force_gc out"

        answers = await asyncio.gather(*map(ask, addresses.values()))
    return dict(zip(addresses, answers, strict=True))
