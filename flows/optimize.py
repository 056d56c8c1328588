"""The slow loop: from the history of demand to the limit of every tenant."""

from __future__ import annotations

import polars as pl
from prefect import flow

from flows.auditing import keep_within
from flows.deciding import decide
from flows.in_force import operator_limits
from flows.publishing import publish_layers, take_stock
from flows.run_names import run_name
from flows.runtime import Runtime, current, look
from flows.words import optimize_lines, optimize_report, publication_lines
from policy.document import parse
from policy.effective import observed_beneath
from policy.settings import format_duration
from policy.sources import disagreements, told_by_us
from storage.maintenance import snapshot
from storage.revisions import newest_confirmed, newest_revision
from tasks.collect import LoadedLimits, read_limits
from tasks.record import record_observed
from tasks.say import say
from tasks.tell import tell


@flow(name="optimize", timeout_seconds=600, validate_parameters=False, persist_result=False)
async def optimize() -> None:
    """Read the limits in force, decide every limit from its history, record, publish, tell."""
    runtime = current()
    with runtime.run("optimize") as run:
        settings = runtime.settings()
        if runtime.memory.scrape is None:
            runtime.memory.scrape = await look(runtime, settings)
        # What stands must be known first: in Mimir's answer our own word looks like any other.
        stands = await take_stock(runtime, run, settings)
        loaded = await read_limits(settings, clock=runtime.clock, seen=runtime.memory.scrape)
        await observe(runtime, loaded, stands=stands)
        decisions, news = await decide(runtime, run, settings)
        say(optimize_lines(news, decisions=decisions))
        publication = await publish_layers(runtime, run, settings)
        say(publication_lines(publication, memory=runtime.memory, sink=settings.publish.sink))
        keep_within(runtime, run, settings)
        await tell(
            optimize_report(
                decisions,
                publication=publication,
                differing=disagreements([*loaded.told, told_by_us(stands)]),
                window=format_duration(settings.trend_analysis.analysis_window),
                now=runtime.clock(),
            ),
            key="optimize",
            description="What was decided, and what was published.",
            name=run_name("optimize", run.summary),
        )
        if runtime.database.path is not None:
            snapshot(runtime.database)


async def observe(runtime: Runtime, loaded: LoadedLimits, *, stands: pl.DataFrame) -> None:
    """Keep the operator's own limits, apart from the echo of ours.

    Mimir may still have loaded the newest revision, also one that was taken back, or the newest
    confirmed one.
    """
    written = (newest_revision(runtime.database), newest_confirmed(runtime.database))
    published = pl.concat(
        [stands, *(parse(revision.document.encode()) for revision in written if revision)]
    )
    observed = observed_beneath(
        loaded.overrides,
        published=published,
        defaults=loaded.defaults,
        remembered=operator_limits(runtime),
        known=loaded.known,
    )
    runtime.memory.versions = loaded.versions
    try:
        await record_observed(observed, database=runtime.database, at=runtime.clock())
    finally:
        runtime.memory.observed = None
