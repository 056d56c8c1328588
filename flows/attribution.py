"""Which teams share a tenant, looked at once a minute where a label tells."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

import polars as pl

from flows.runtime import Runtime
from policy.cost.attribution import attributed_samples
from policy.errors import OptimizerError
from policy.frames import SAMPLES, empty
from policy.settings import Settings
from tasks.attribution import read_attribution

LOOKED_EVERY: Final = timedelta(minutes=1)
MOST_SECONDS: Final = 10.0


async def see_attribution(
    runtime: Runtime, settings: Settings, *, samples: pl.DataFrame
) -> pl.DataFrame:
    """What teams have of their tenants at this look, as further SAMPLES; none where none tell.

    What cannot be read is said once, and nothing else waits for it.
    """
    rules, now = settings.cost_control, runtime.clock()
    before = runtime.memory.attributed
    if rules.attribution.label is None or not rules.enabled:
        return empty(SAMPLES)
    if before is not None and timedelta(0) <= now - before[0] < LOOKED_EVERY:
        return empty(SAMPLES)
    problem = None
    try:
        async with asyncio.timeout(MOST_SECONDS):
            seen = await read_attribution(
                settings, label=rules.attribution.label, clock=runtime.clock
            )
    except (OptimizerError, TimeoutError) as error:
        problem = " ".join(str(error).split()) or "no answer in time"
    runtime.say_once("reading what Mimir attributes to teams", problem=problem)
    if problem is not None:
        return empty(SAMPLES)
    runtime.memory.attributed = (now, seen)
    return attributed_samples(
        seen,
        None if before is None else before[1],
        samples=samples,
        most=rules.attribution.most_teams,
    )
