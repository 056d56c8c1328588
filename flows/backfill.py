"""On demand: usage and costs of past days, from Prometheus or from a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from prefect import flow

from flows.auditing import allowed
from flows.backfill_outcome import Outcome, outcome_of
from flows.backfill_words import backfill_report, day_line, outcome_lines
from flows.backfilling import Progress, fill
from flows.elsewhere import runtime_anywhere
from flows.parameters import Since, Step, Until
from flows.run_names import run_name
from flows.runtime import Run, Runtime
from policy.cost.backfill import asked_range, days_of, refuse_other_steps
from policy.cost.periods import Period
from policy.errors import ConfigError
from policy.settings import Settings
from storage.audit import append_audit
from tasks.backfill import PromqlSource, Source
from tasks.backfill_entries import backfilled_days
from tasks.promql_http import promql_client
from tasks.say import say
from tasks.tell import Bar, tell
from tasks.usage_file import FileSource, read_usage

Told = Callable[[Progress], Awaitable[None]]


@flow(name="backfill", timeout_seconds=4 * 3600, validate_parameters=False, persist_result=False)
async def backfill(
    since: Since = "90d",
    until: Until = None,
    step: Step = "1h",
    again: bool = False,  # noqa: FBT001, FBT002 - what a person types into the Prefect UI
    from_file: str | None = None,
) -> None:
    """Fetch usage of past days, price it by the prices of each day, and tell what is missing.

    Args:
        since: how far back, like 90d, or the first day, like 2026-11-01. Whole UTC days.
        until: the day that is not asked for any more; empty is up to now.
        step: how long what is stored in one row is; only 1h.
        again: also the days that are stored already; otherwise it goes on where it stopped.
        from_file: a .csv or .parquet file on this machine instead of Prometheus; all of it.
    """
    bar = Bar(key="backfill-progress", description="Days of the backfill that are stored.")

    async def told(progress: Progress) -> None:
        await bar.show(progress.done / progress.of if progress.of else 1.0)
        if progress.filled is not None:
            say([f"backfill  {day_line(progress.filled)}"])

    with runtime_anywhere() as runtime, runtime.run("backfill") as run:
        zone = ZoneInfo(runtime.settings().cost_control.time_zone)
        asked = Asked(
            since=since, until=until or None, step=step, again=again, file=from_file or None
        )
        outcome = await backfilled(runtime, run, asked=asked, tell=told)
        say(f"backfill  {line}" for line in outcome_lines(outcome, zone=zone))
        await tell(
            backfill_report(outcome, zone=zone),
            key="backfill",
            description="What came from a past that we did not measure, and what is missing.",
            name=run_name("backfill", run.summary),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asks for, as it was typed; see `backfill`."""

    since: str = "90d"
    until: str | None = None
    step: str = "1h"
    again: bool = False
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What there is to do.

    Attributes:
        whole: the range.
        days: of it; of a file, those that it has.
        file: where they come from; None: from PromQL.
        again: also days that are stored.
    """

    whole: Period
    days: list[Period]
    file: FileSource | None
    again: bool


def work_of(asked: Asked, *, settings: Settings, now: datetime) -> Work:
    """What there is to do; a file is read for it.

    Raises:
        ConfigError: it cannot be done so.
    """
    refuse_other_steps(asked.step)
    if asked.file is not None:
        file = read_usage(Path(asked.file))
        days = file.days
        whole = Period(start=days[0].start, end=days[-1].end)
        return Work(whole=whole, days=days, file=file, again=True)
    zone = ZoneInfo(settings.cost_control.time_zone)
    whole = asked_range(asked.since, asked.until, now=now - settings.promql.delay, zone=zone)
    return Work(whole=whole, days=days_of(whole), file=None, again=asked.again)


async def backfilled(runtime: Runtime, run: Run, *, asked: Asked, tell: Told) -> Outcome:
    """Do what is asked for, in this process.

    Raises:
        ConfigError: it cannot be done so, or nothing came.
        OptimizerError: a day could not be had or stored; those before it stay.
    """
    settings = runtime.settings()
    work = await asyncio.to_thread(work_of, asked, settings=settings, now=runtime.clock())
    async with _source(work, settings=settings, runtime=runtime) as source:
        stored = await fill(
            runtime,
            run,
            settings,
            source=source,
            days=work.days,
            again=work.again,
            tell=tell,
        )
        origin = source.origin
    outcome = outcome_of(
        runtime.database,
        settings.cost_control,
        asked=work.whole,
        origin=origin,
        skipped=len(work.days) - stored,
        run_id=run.run_id,
    )
    if stored == len(work.days) and outcome.known.is_empty():
        raise ConfigError(
            f"{origin} knows nothing of {work.whole.start:%Y-%m-%d} to {work.whole.end:%Y-%m-%d}: "
            "correct promql.matchers or promql.tenant, or ask for days that it has kept"
        )
    if stored:
        entry = backfilled_days(
            outcome.marks, origin=origin, again=work.again, run_id=run.run_id, at=runtime.clock()
        )
        append_audit(runtime.database, allowed(settings, [entry]))
    run.summary.update(
        days=stored,
        rows=int(outcome.marks["rows"].sum()),
        since=f"{work.whole.start:%Y-%m-%d %H:%M}",
    )
    return outcome


@asynccontextmanager
async def _source(work: Work, *, settings: Settings, runtime: Runtime) -> AsyncIterator[Source]:
    if work.file is not None:
        yield work.file
        return
    async with promql_client(settings.promql, performance=settings.performance) as client:
        yield PromqlSource(promql=settings.promql, client=client, clock=runtime.clock)
