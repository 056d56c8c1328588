"""Whether anything may be written now: who is the writer, who paused, who asked for patience."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import uuid4

from flows.runtime import Runtime
from policy.errors import OptimizerError, RetriableError
from policy.settings import Settings
from storage.identity import identity
from storage.pauses import pause_now
from tasks.sinks import Published, Sink
from tasks.sinks.base import Fenced
from tasks.writer import NotTheWriter, Writer
from tasks.writers import build_writer

PAUSED: Final = "publish.paused is true: changes wait until it is false"


def paused(runtime: Runtime, settings: Settings, *, held: Published | None = None) -> str | None:
    """Why nothing is published now by the word of a person; None where nobody said so.

    Args:
        runtime: the history, where `mlo pause` leaves its word.
        settings: where it may stand too.
        held: what the sink holds, with a word that may stand there; None in a dry run.
    """
    if settings.publish.paused:
        return PAUSED
    if said := pause_now(runtime.database, now=runtime.clock()):
        return f"{said}; `mlo resume` ends it"
    if held is not None and held.paused:
        return f"{held.paused}: changes wait until it is gone"
    return None


def impatient(runtime: Runtime) -> str | None:
    """Why the sink is not to be asked anything yet: it asked for patience."""
    until = runtime.memory.not_before
    if until is None or runtime.clock() >= until:
        return None
    return f"the sink asked for patience until {until:%H:%M:%S} UTC"


def note_patience(runtime: Runtime, refusal: RetriableError) -> None:
    """Remember how long the sink wants to be left alone."""
    if refusal.retry_after_seconds:
        runtime.memory.not_before = runtime.clock() + timedelta(seconds=refusal.retry_after_seconds)


async def hold_pen(
    runtime: Runtime, settings: Settings, *, sink: Sink, held: Published
) -> Published:
    """Make sure that we are the one who writes to the sink; gives what it holds then.

    A new writer leaves its epoch at the sink, which shuts out whoever read there before.

    Raises:
        NotTheWriter: another process is.
        Conflict: the sink was changed since it was read.
        OptimizerError: it cannot be found out.
    """
    writer = _writer(runtime, settings, sink)
    try:
        found = await asyncio.to_thread(_held, writer, sink, held)
    except NotTheWriter:
        runtime.telemetry.writer.set(0)
        raise
    runtime.telemetry.writer.set(1)
    return found


async def is_writer(runtime: Runtime, settings: Settings, *, sink: Sink | None) -> bool:
    """Whether what we published is ours to settle; where that cannot be told it is tried."""
    if sink is None:
        return True
    try:
        held = await asyncio.to_thread(sink.read)
        await hold_pen(runtime, settings, sink=sink, held=held)
    except NotTheWriter:
        return False
    except OptimizerError:
        return True
    return True


def release_pen(runtime: Runtime) -> None:
    """Let another process write at once, as far as that can be said; otherwise ours expires."""
    kept, runtime.memory.writer = runtime.memory.writer, None
    if kept is None:
        return
    runtime.telemetry.writer.set(0)
    with suppress(OptimizerError):  # what cannot be given back is taken when it has expired
        kept[1].release()


def _held(writer: Writer, sink: Sink, held: Published) -> Published:
    epoch = writer.hold()
    if held.epoch > epoch:  # somebody wrote since we were the writer, or the Lease was lost
        epoch = writer.hold(at_least=held.epoch + 1)
    if held.epoch == epoch or not isinstance(sink, Fenced):
        return held
    sink.fence(epoch, if_version=held.version)
    return sink.read()


def _writer(runtime: Runtime, settings: Settings, sink: Sink) -> Writer:
    chosen = (
        sink.describe(),
        settings.publish.lease,
        settings.metrics_discovery.kubeconfig,
        settings.protect_interval,
    )
    kept = runtime.memory.writer
    if kept is not None and kept[0] == chosen:
        return kept[1]
    release_pen(runtime)
    name = identity(runtime.database, new=lambda: uuid4().hex)
    writer = build_writer(settings, identity=name, clock=runtime.clock)
    runtime.memory.writer = (chosen, writer)
    return writer
