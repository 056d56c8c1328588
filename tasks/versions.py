"""Which versions of Mimir run; a process that cannot be reached for a while still counts.

What may be published is what the oldest one knows: one that is merely restarting would read the
file with the next version's names in it, and refuse it. So what a process said is remembered for
an hour, here, by its address, as long as it is known at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import httpx

from tasks.answers import every_answer
from tasks.mimir import build_version

REMEMBERED: Final = timedelta(hours=1)

_said: dict[str, tuple[datetime, str | None]] = {}


async def versions_of(
    endpoints: Sequence[str], *, client: httpx.AsyncClient, clock: Callable[[], datetime]
) -> frozenset[str | None]:
    """What the processes say they are, or said not long ago; None for one that does not say.

    Args:
        endpoints: base URLs of the processes that are known now; any other is forgotten.
        client: of tasks.http.
        clock: aware UTC.

    Raises:
        OptimizerError: not one answers.
    """

    async def ask(url: str) -> tuple[str, str | None]:
        return url, await build_version(url, client=client)

    answers = dict(await every_answer(endpoints, ask))
    now = clock()
    known = {
        url: said for url, said in _said.items() if url in endpoints and now - said[0] < REMEMBERED
    } | {url: (now, version) for url, version in answers.items()}
    _said.clear()
    _said.update(known)
    return frozenset(version for _, version in known.values())


def forget() -> None:
    """Forget what the processes said."""
    _said.clear()
