"""Plan what the layers say now and publish it; shared by every flow that writes a layer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from threading import Lock
from typing import Final

import polars as pl

from flows.auditing import note_refusal
from flows.in_force import operator_limits
from flows.runtime import Run, Runtime
from flows.takeover import take_over
from policy.catalogue import Catalogue
from policy.document import parse
from policy.plan import Plan, plan
from policy.settings import Settings
from policy.tuned import bounds_of, catalogue_of
from policy.versions import known_to_all
from storage.layers import fingerprint, read_layers
from storage.revisions import newest_confirmed, newest_revision
from tasks.publish import Publication, publish, standing
from tasks.settle import pod_states
from tasks.sinks import Published, Sink, build_sink
from tasks.verify import Before

TURN_SECONDS: Final = 0.05
PAUSED: Final = "publish.paused is true: changes wait until it is false"


async def take_stock(runtime: Runtime, run: Run, settings: Settings) -> pl.DataFrame:
    """LIMITS of the document that stands; one found before our first revision is taken over.

    Raises:
        ConfigError: the sink cannot be read, or holds what is not ours.
    """
    async with _turn(runtime.publishing):
        _, stands = await _look(runtime, run, sink=sink_of(runtime, settings))
    return stands


async def publish_layers(runtime: Runtime, run: Run, settings: Settings) -> Publication:
    """Publish what the layers say now, one flow at a time."""
    sink = sink_of(runtime, settings)
    async with _turn(runtime.publishing):
        held, stands = await _look(runtime, run, sink=sink)
        ground = _ground(runtime, settings, held=held)
        if runtime.memory.planned is not None and runtime.memory.planned[0] == ground:
            run.summary["publish"] = runtime.memory.planned[1].outcome
            return runtime.memory.planned[1]
        wanted = make_plan(runtime, settings, stands=stands)
        if settings.publish.paused and sink is not None and not wanted.changes.is_empty():
            wanted = replace(wanted, problems=(PAUSED,))
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
    note_refusal(runtime, run, settings, publication)
    again = publication.outcome in {"nothing", "would"}
    runtime.memory.planned = (ground, publication) if again else None
    _count(runtime, publication)
    run.summary["publish"] = publication.outcome
    return publication


def _ground(runtime: Runtime, settings: Settings, *, held: Published) -> tuple[object, ...]:
    """What a plan follows from: where it is the same as before, so is the plan."""
    return (
        settings.mode,
        settings.publish.paused,
        held.version,
        settings.limits,
        runtime.memory.versions,
        fingerprint(runtime.database, now=runtime.clock()),
    )


def sink_of(runtime: Runtime, settings: Settings) -> Sink | None:
    """The sink of the settings; None in a dry run, and None when the tenants are made up.

    Raises:
        ConfigError: the settings name a sink that does not exist.
    """
    made_up = settings.synthetic.enabled and not runtime.simulated
    return None if made_up else build_sink(settings)


def make_plan(runtime: Runtime, settings: Settings, *, stands: pl.DataFrame) -> Plan:
    """What the layers of this moment would publish over `stands` (LIMITS)."""
    now = runtime.clock()
    catalogue = catalogue_of(settings.limits)
    return plan(
        read_layers(runtime.database, now=now),
        observed=operator_limits(runtime),
        standing=stands,
        bounds=bounds_of(settings.limits),
        known=_known(runtime, catalogue=catalogue),
        now=now,
        catalogue=catalogue,
    )


def _known(runtime: Runtime, *, catalogue: Catalogue) -> frozenset[str]:
    """Names that Mimir takes; after a start, what it was seen to take, until versions are read."""
    versions = runtime.memory.versions
    names = known_to_all(versions, catalogue=catalogue)
    confirmed = None if versions else newest_confirmed(runtime.database)
    return names if confirmed is None else names | {*parse(confirmed.document.encode())["limit"]}


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
