"""Past days, one after another: asked for, stored, priced and marked.

A day's usage, its costs and its mark are one transaction: whatever ends the process, a day is
there once or not at all, and the next run goes on with the first that is not. While a day is
stored the next one is asked for, and no more than these two are held.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flows.cost import note_teams, price
from flows.runtime import Run, Runtime
from policy.cost.backfill import Filled, due
from policy.cost.periods import Period
from policy.errors import Conflict
from policy.settings import Settings
from storage.backfills import Marked, days_done, mark_day
from storage.usage import import_usage
from tasks.backfill import Source

TRIES: Final = 6
FIRST_WAIT_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far it is.

    Attributes:
        done, of: days.
        filled: the newest one; None before the first.
    """

    done: int
    of: int
    filled: Filled | None = None


async def fill(
    runtime: Runtime,
    run: Run,
    settings: Settings,
    *,
    source: Source,
    days: Sequence[Period],
    again: bool,
    tell: Callable[[Progress], Awaitable[None]],
) -> int:
    """Store those of the days that are not stored yet.

    Args:
        runtime: of this process.
        run: whose the days are.
        settings: how they are priced.
        source: where they come from.
        days: the oldest first.
        again: also those that are stored.
        tell: is told of every day.

    Returns:
        How many days were stored.

    Raises:
        OptimizerError: a day could not be had or stored; those before it stay.
    """
    stored = {} if again else days_done(runtime.database, source=source.kind)
    wanted = due(days, stored=stored)
    await tell(Progress(done=0, of=len(wanted)))
    number = 0
    async for filled, began in _ahead(source, wanted, clock=runtime.clock):
        await _kept(runtime, run, settings, filled=filled, source=source, began=began)
        number += 1
        await tell(Progress(done=number, of=len(wanted), filled=filled))
    if settings.cost_control.enabled:
        note_teams(runtime, settings.cost_control)
    return number


async def _ahead(
    source: Source, wanted: Sequence[Period], *, clock: Callable[[], datetime]
) -> AsyncIterator[tuple[Filled, datetime]]:
    """Each day, and when it was asked for; the next one is asked for meanwhile."""

    async def asked(day: Period) -> tuple[Filled, datetime]:
        began = clock()
        return await source.day(day), began

    coming = asyncio.create_task(asked(wanted[0])) if wanted else None
    try:
        for following in [*wanted[1:], None]:
            if coming is None:
                return
            found = await coming
            coming = None if following is None else asyncio.create_task(asked(following))
            yield found
    finally:
        if coming is not None:
            coming.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await coming


async def _kept(
    runtime: Runtime,
    run: Run,
    settings: Settings,
    *,
    filled: Filled,
    source: Source,
    began: datetime,
) -> None:
    """Store the day; where `cost` prices the same hours at this moment, a moment later."""
    for wait in range(TRIES):
        try:
            await asyncio.to_thread(
                store_day, runtime, run, settings, filled=filled, source=source, began=began
            )
        except Conflict:
            if wait == TRIES - 1:
                raise
            await asyncio.sleep(FIRST_WAIT_SECONDS * 2**wait)
        else:
            return


def store_day(
    runtime: Runtime,
    run: Run,
    settings: Settings,
    *,
    filled: Filled,
    source: Source,
    began: datetime,
) -> None:
    """The usage of the day, its costs by the prices of the day, and its mark: all or nothing.

    Raises:
        Conflict: somebody else stored the same at the same moment.
        StorageUnavailable: the disk refused.
    """
    database, day = runtime.database, filled.day
    origin = "backfill" if source.kind == "promql" else source.origin
    with database.transaction():
        import_usage(database, filled.hours, origin=origin, at=runtime.clock())
        priced = 0
        if settings.cost_control.enabled:
            priced = price(runtime, run, settings, start=day.start, end=day.end)
        mark_day(
            database,
            filled,
            marked=Marked(
                source=source.kind,
                origin=source.origin,
                run_id=run.run_id,
                started_at=began,
                ended_at=runtime.clock(),
            ),
            hours_priced=priced,
        )
