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
from flows.drift import see_drift
from flows.in_force import operator_limits, standing_limits
from flows.runtime import Run, Runtime
from flows.takeover import take_over
from flows.writing import hold_pen, impatient, note_patience, paused
from policy.catalogue import Catalogue
from policy.document import parse
from policy.errors import ConfigError, Conflict, RetriableError
from policy.frames import CHANGES, empty
from policy.holds import Hold, with_hold
from policy.plan import Plan, Terms, plan
from policy.room import most_bytes
from policy.settings import Settings
from policy.tuned import bounds_of, catalogue_of
from policy.versions import known_to_all
from storage.holds import read_holds
from storage.layers import fingerprint, read_layers
from storage.revisions import newest_confirmed, newest_revision
from tasks.propagate import touch_pods
from tasks.publish import Publication, publish, standing
from tasks.say import say
from tasks.settle import pod_states
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
        _, stands = await _look(runtime, run, settings, sink=sink_of(runtime, settings))
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
    held, stands = await _look(runtime, run, settings, sink=sink)
    held, waits = await _waits(runtime, settings, sink=sink, held=held)
    ground = _ground(runtime, settings, held=held, waits=waits)
    if runtime.memory.planned is not None and runtime.memory.planned[0] == ground:
        return runtime.memory.planned[1]
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
    again = publication.outcome in {"nothing", "would"}
    runtime.memory.planned = (ground, publication) if again else None
    return publication


async def _hurry(runtime: Runtime, settings: Settings, *, revision: int) -> None:
    """Have the kubelets refresh the ConfigMap at once, where that is asked for."""
    seen = runtime.memory.scrape
    if settings.publish.touch_pods and settings.publish.sink in IN_KUBERNETES and seen is not None:
        pods = sorted((*seen.answered, *seen.failed))
        say(await touch_pods(pods, revision=revision, settings=settings))


async def _waits(
    runtime: Runtime, settings: Settings, *, sink: Sink | None, held: Published
) -> tuple[Published, str | None]:
    """What the sink holds, and why nothing may be written to it now; None: it may."""
    if sink is None:
        return held, paused(runtime, settings)
    try:
        held = await hold_pen(runtime, settings, sink=sink, held=held)
    except NotTheWriter as other:
        return held, str(other)
    return held, paused(runtime, settings, held=held)


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
    layers = read_layers(runtime.database, now=runtime.clock())
    holds = read_holds(runtime.database)
    return _planned(runtime, settings, layers=layers, holds=holds, stands=stands)


def refuse_unpublishable(
    runtime: Runtime, settings: Settings, *, word: Hold, said: pl.DataFrame
) -> None:
    """Refuse a hold with which nothing could be published any more.

    Args:
        runtime: what the layers say without it.
        settings: the bounds, and what there is room for.
        word: the hold.
        said: LIMITS of the document of its revision.

    Raises:
        ConfigError: Mimir would refuse the document.
    """
    stands = standing_limits(runtime)
    layers = read_layers(runtime.database, now=runtime.clock())
    holds = read_holds(runtime.database)
    before = _planned(runtime, settings, layers=layers, holds=holds, stands=stands).problems
    layers, holds = with_hold(layers, holds, word=word, said=said)
    after = _planned(runtime, settings, layers=layers, holds=holds, stands=stands).problems
    if added := [problem for problem in after if problem not in before]:
        raise ConfigError(
            f"with revision {word.revision} nothing could be published any more: {added[0]}"
        )


def _planned(
    runtime: Runtime,
    settings: Settings,
    *,
    layers: pl.DataFrame,
    holds: pl.DataFrame,
    stands: pl.DataFrame,
) -> Plan:
    catalogue = catalogue_of(settings.limits)
    return plan(
        layers,
        observed=operator_limits(runtime),
        standing=stands,
        bounds=bounds_of(settings.limits),
        terms=Terms(
            known=_known(runtime, catalogue=catalogue),
            catalogue=catalogue,
            max_bytes=most_bytes(settings.publish),
        ),
        now=runtime.clock(),
        holds=holds,
    )


def _known(runtime: Runtime, *, catalogue: Catalogue) -> frozenset[str]:
    """Names that Mimir takes; after a start, what it was seen to take, until versions are read."""
    versions = runtime.memory.versions
    names = known_to_all(versions, catalogue=catalogue)
    confirmed = None if versions else newest_confirmed(runtime.database)
    return names if confirmed is None else names | {*parse(confirmed.document.encode())["limit"]}


async def _look(
    runtime: Runtime, run: Run, settings: Settings, *, sink: Sink | None
) -> tuple[Published, pl.DataFrame]:
    memory = runtime.memory
    held, stands = await asyncio.to_thread(
        standing, sink, database=runtime.database, known=memory.stood
    )
    news = memory.stood is None or memory.stood[0] != held.version
    memory.stood = None if sink is None else (held.version, stands)
    memory.standing = stands
    if sink is not None:
        take_over(runtime, run, sink=sink, held=held, stands=stands)
    if sink is not None and news:
        see_drift(runtime, run, settings, sink=sink, held=held, stands=stands)
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
