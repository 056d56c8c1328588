"""Plan what the layers say now and publish it; shared by every flow that writes a layer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Final

import polars as pl

from flows.auditing import note_refusal
from flows.drift import see_drift
from flows.holding import fall_back
from flows.planning import make_plan
from flows.runtime import Run, Runtime
from flows.takeover import adopt, take_over
from flows.writing import held_by_us, hold_pen, impatient, note_patience, paused, release_pen
from policy.document import parse
from policy.errors import Conflict, RetriableError
from policy.frames import CHANGES, empty
from policy.scrape import Scrape
from policy.settings import Settings
from storage.layers import fingerprint
from storage.pauses import withdrawn_now
from storage.revisions import Revision, newest_revision
from tasks.propagate import touch_pods
from tasks.publish import Publication, publish, standing
from tasks.say import say
from tasks.settle import Desk, Settled, pod_states, settle, waiting_revision
from tasks.sinks import Published, Sink, build_sink
from tasks.verify import Before
from tasks.writer import NotTheWriter
from tasks.writers import IN_KUBERNETES

TURN_SECONDS: Final = 0.05
ATTEMPTS: Final = 3  # of one run, where somebody else keeps changing what was read


async def take_stock(runtime: Runtime, run: Run, settings: Settings) -> pl.DataFrame:
    """LIMITS of the document that stands; one found before our first revision is taken over.

    Raises:
        ConfigError: the sink cannot be read, or holds what is not ours.
    """
    async with _turn(runtime.publishing):
        _, stands = await _look(runtime, run, sink=sink_of(runtime, settings))
    return stands


async def publish_layers(runtime: Runtime, run: Run, settings: Settings) -> Publication:
    """Publish what the layers say now, one flow at a time.

    Where somebody else changes what was read, it is read and planned anew a few times.

    Raises:
        OptimizerError: the sink cannot be read or written.
    """
    sink = sink_of(runtime, settings)
    async with _turn(runtime.publishing):
        publication = await _publish(runtime, run, settings, sink=sink)
    if publication.revision is not None:
        await _hurry(runtime, settings, revision=publication.revision)
    note_refusal(runtime, run, settings, publication)
    _count(runtime, publication)
    run.summary["publish"] = publication.outcome
    return publication


async def _publish(
    runtime: Runtime, run: Run, settings: Settings, *, sink: Sink | None
) -> Publication:
    if sink is not None and (reason := impatient(runtime)):
        return Publication(outcome="refused", changes=empty(CHANGES), problems=(reason,))
    try:
        for attempt in range(ATTEMPTS):
            try:
                return await _publish_once(runtime, run, settings, sink=sink)
            except Conflict:
                if attempt == ATTEMPTS - 1:
                    raise
    except RetriableError as refusal:
        note_patience(runtime, refusal)
        raise
    raise AssertionError("the last attempt ends in an answer or an error")


async def _publish_once(
    runtime: Runtime, run: Run, settings: Settings, *, sink: Sink | None
) -> Publication:
    held, stands = await _look(runtime, run, sink=sink)
    if sink is None:
        release_pen(runtime)
        waits = paused(runtime, settings)
    else:
        held, waits = await _may_write(runtime, run, settings, sink=sink, held=held, stands=stands)
    ground = _ground(runtime, settings, held=held, waits=waits)
    if runtime.memory.planned is not None and runtime.memory.planned[0] == ground:
        return runtime.memory.planned[1]
    fall_back(runtime, audit=settings.audit_log.enabled)
    wanted = make_plan(runtime, settings, stands=stands)
    if waits and not wanted.changes.is_empty():
        wanted = replace(wanted, problems=(waits, *wanted.problems))
    hashes, refusing = _said_by_pods(runtime)
    publication = await publish(
        wanted,
        sink=sink,
        held=held,
        database=runtime.database,
        run_id=run.run_id,
        clock=runtime.clock,
        audit=settings.audit_log.enabled,
    )
    if publication.revision is not None:
        runtime.memory.standing = parse(wanted.document)
        runtime.memory.before = Before(
            revision=publication.revision, hashes=hashes, refusing=refusing
        )
    again = waits is not None or publication.outcome in {"nothing", "would"}
    runtime.memory.planned = (ground, publication) if again else None
    return publication


async def settle_newest(
    runtime: Runtime, settings: Settings, *, seen: Scrape, newest: Revision | None
) -> Settled | None:
    """Judge the newest revision by this look, and put back what was refused where we may write.

    Args:
        runtime: the history, and who may write.
        settings: where it was published.
        seen: the look.
        newest: the revision that was begun last.
    """
    waiting = waiting_revision(newest, now=runtime.clock())
    if waiting is None:
        return None
    sink = sink_of(runtime, settings)
    async with _turn(runtime.publishing):
        return await settle(
            waiting,
            seen=seen,
            settings=settings,
            desk=None
            if sink is None
            else Desk(sink=sink, open=partial(held_by_us, runtime, settings, sink=sink)),
            before=runtime.memory.before,
            database=runtime.database,
            clock=runtime.clock,
        )


async def _hurry(runtime: Runtime, settings: Settings, *, revision: int) -> None:
    """Have the kubelets refresh the ConfigMap at once, where that is asked for."""
    seen = runtime.memory.scrape
    if settings.publish.touch_pods and settings.publish.sink in IN_KUBERNETES and seen is not None:
        pods = sorted((*seen.answered, *seen.failed))
        try:
            say(await touch_pods(pods, revision=revision, settings=settings))
        except TimeoutError:
            say(["not all pods were touched in time: they have the limits in two minutes"])


async def _may_write(
    runtime: Runtime,
    run: Run,
    settings: Settings,
    *,
    sink: Sink,
    held: Published,
    stands: pl.DataFrame,
) -> tuple[Published, str | None]:
    """What the sink holds, and why nothing may be written to it now; None: it may.

    Who may, looks at what somebody else has written there since.
    """
    waits = paused(runtime, settings, held=held)
    try:
        pen = await hold_pen(runtime, settings, sink=sink, held=held, pausing=waits is not None)
    except NotTheWriter as other:
        return held, str(other)
    if pen.taken_over:
        adopt(runtime, run, sink=sink, held=held, stands=stands)
    else:
        see_drift(runtime, run, settings, sink=sink, held=pen.held, stands=stands, waits=waits)
    return pen.held, waits


def _ground(
    runtime: Runtime, settings: Settings, *, held: Published, waits: str | None
) -> tuple[object, ...]:
    """What a plan follows from: where it is the same as before, so is the plan."""
    return (
        settings.mode,
        settings.publish,
        waits,
        held.version,
        settings.limits,
        runtime.memory.versions,
        fingerprint(runtime.database, now=runtime.clock()),
        withdrawn_now(runtime.database),
    )


def sink_of(runtime: Runtime, settings: Settings) -> Sink | None:
    """The sink of the settings; None in a dry run, and None when the tenants are made up.

    Raises:
        ConfigError: the settings name a sink that does not exist.
    """
    made_up = settings.synthetic.enabled and not runtime.simulated
    return None if made_up else build_sink(settings)


async def _look(runtime: Runtime, run: Run, *, sink: Sink | None) -> tuple[Published, pl.DataFrame]:
    memory = runtime.memory
    held, stands = await asyncio.to_thread(
        standing, sink, database=runtime.database, known=memory.stood
    )
    memory.stood = None if sink is None else (held.version, stands)
    memory.standing = stands
    if sink is not None:
        take_over(runtime, run, sink=sink, held=held, stands=stands)
    return held, stands


@asynccontextmanager
async def _turn(lock: Lock) -> AsyncIterator[None]:
    """Hold the lock, which flows in other threads want too; a time-out ends the waiting for it."""
    while not lock.acquire(blocking=False):  # noqa: ASYNC110 - it is a lock of threads
        await asyncio.sleep(TURN_SECONDS)
    try:
        yield
    finally:
        lock.release()


def _said_by_pods(runtime: Runtime) -> tuple[dict[str, str | None], frozenset[str]]:
    """The hash of each pod, unless another revision is on its way to them; who refuses a file."""
    seen = runtime.memory.scrape
    if seen is None:
        return {}, frozenset()
    states = pod_states(seen)
    newest = newest_revision(runtime.database)
    settled = newest is None or newest.outcome == "confirmed"
    return (
        {state.pod: state.sha256 for state in states} if settled else {},
        frozenset(state.pod for state in states if state.successful is False),
    )


def _count(runtime: Runtime, publication: Publication) -> None:
    if publication.outcome != "written":
        return
    per_limit = publication.changes.group_by("limit").len()
    for limit, count in per_limit.iter_rows():
        runtime.telemetry.limits_applied.labels(limit).inc(count)
