"""On demand: rehearse a blast of one tenant, changing nothing and telling what would happen."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

from prefect import flow

from flows.parameters import Factor, Line, Minutes
from flows.run_names import run_name
from flows.runtime import current
from policy.drill import Kind, Rehearsal
from policy.drill_words import clock, figures_of
from storage.database import read_frame
from tasks.rehearse import rehearse_blast
from tasks.say import say
from tasks.tell import table, tell


@flow(name="drill", timeout_seconds=600, validate_parameters=False, persist_result=False)
async def drill(
    tenant: Line, factor: Factor = 10.0, minutes: Minutes = 5.0, kind: Kind = "samples"
) -> None:
    """Rehearse what protection would do to a tenant in a blast; nothing is written to Mimir.

    Args:
        tenant: whose usual demand and limits are taken.
        factor: how many times its usual it would ask for.
        minutes: how long the blast would last.
        kind: of samples, or of series: so many times as many within five minutes.
    """
    runtime = current()
    with runtime.run("drill") as run:
        found = await asyncio.to_thread(
            rehearse_blast,
            partial(read_frame, runtime.database),
            settings=runtime.settings(),
            tenant=tenant.strip(),
            factor=factor,
            lasts=timedelta(minutes=minutes),
            now=runtime.clock(),
            kind=kind,
        )
        run.summary.update(
            drill=tenant,
            factor=factor,
            kind=kind,
            detected_seconds=_seconds(found.detected_after),
            capped_seconds=_seconds(found.capped_after),
            admitted_above=round(found.admitted_above),
            recovered_seconds=_seconds(found.recovered_after),
        )
        say(f"drill  {clock(event.after)}  {event.words}" for event in found.timeline)
        await tell(
            report(found, tenant=tenant, factor=factor),
            key="drill",
            description="What protection would do in a blast.",
            name=run_name("drill", run.summary),
        )


def report(found: Rehearsal, *, tenant: str, factor: float) -> str:
    """The Markdown of the artifact."""
    timeline = ((clock(event.after), event.words) for event in found.timeline)
    return "\n".join(
        [
            f"# Drill: {tenant} asks for {factor:g} times its usual",
            "Rehearsed in memory; nothing was changed.",
            "",
            table(["after", "what happens"], timeline),
            "",
            table(["what", "figure"], figures_of(found)),
        ]
    )


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()
