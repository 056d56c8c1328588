"""Whether anything may be written now: who is the writer, who paused, who asked for patience."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import uuid4

from flows.runtime import Runtime
from policy.errors import OptimizerError, RetriableError
from policy.settings import Settings
from storage.identity import identity, keep_epoch, last_epoch
from storage.pauses import pause_now
from tasks.sinks import Published, Sink
from tasks.sinks.base import Fenced
from tasks.writer import NotTheWriter, Writer
from tasks.writers import build_writer

PAUSED: Final = "publish.paused is true: changes wait until it is false"
MOST_PATIENCE: Final = timedelta(minutes=5)  # a cap must not wait longer, whatever is asked for


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
        seconds = min(refusal.retry_after_seconds, MOST_PATIENCE.total_seconds())
        runtime.memory.not_before = runtime.clock() + timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
    """The right to write to the sink as it was read.

    Attributes:
        held: what the sink holds.
        taken_over: the writer before us was another one: what stands there is not ours.
    """

    held: Published
    taken_over: bool = False


async def hold_pen(
    runtime: Runtime, settings: Settings, *, sink: Sink, held: Published, pausing: bool = False
) -> Pen:
    """Make sure that we are the one who writes to the sink. Only one thread at a time may ask.

    A new writer leaves its epoch at the sink, which shuts out whoever read there before.

    Args:
        runtime: remembers the right to write, and the epoch that we left there.
        settings: which right goes with the sink.
        sink: where is to be written.
        held: what it holds.
        pausing: nothing at all is to be written now, also no epoch.

    Raises:
        NotTheWriter: another process is.
        Conflict: the sink was changed since it was read.
        OptimizerError: it cannot be found out.
    """
    writer = _writer(runtime, settings, sink)
    try:
        pen = await asyncio.to_thread(_held, runtime, writer, sink=sink, held=held, pausing=pausing)
    except NotTheWriter:
        runtime.telemetry.writer.set(0)
        raise
    runtime.telemetry.writer.set(1)
    return pen


def held_by_us(runtime: Runtime, settings: Settings, *, sink: Sink) -> Published | None:
    """What the sink holds, if we may write there; None where not, or where it cannot be told.

    To be called where no other thread asks for the pen.
    """
    try:
        pen = _held(
            runtime,
            _writer(runtime, settings, sink),
            sink=sink,
            held=sink.read(),
            pausing=False,
        )
    except OptimizerError:
        return None
    return None if pen.taken_over else pen.held


def release_pen(runtime: Runtime) -> None:
    """Let another process write at once, as far as that can be said; otherwise ours expires."""
    kept, runtime.memory.writer = runtime.memory.writer, None
    if kept is None:
        return
    runtime.memory.stamped = None
    runtime.telemetry.writer.set(0)
    with suppress(OptimizerError):  # what cannot be given back is taken when it has expired
        kept[1].release()


def _held(runtime: Runtime, writer: Writer, *, sink: Sink, held: Published, pausing: bool) -> Pen:
    if not isinstance(sink, Fenced):
        writer.hold()
        return Pen(held=held)
    # An epoch that this process did not leave there is somebody else's, whatever its number.
    ours = runtime.memory.stamped is not None and runtime.memory.stamped == held.epoch
    epoch = writer.hold(at_least=held.epoch if ours else held.epoch + 1)
    if ours and epoch == held.epoch:
        return Pen(held=held)
    known = last_epoch(runtime.database, sink=sink.describe())
    taken_over = held.epoch not in {0, known}
    if pausing:
        return Pen(held=held, taken_over=taken_over)
    version = sink.fence(epoch, if_version=held.version)
    keep_epoch(runtime.database, sink=sink.describe(), epoch=epoch)
    runtime.memory.stamped = epoch
    return Pen(held=replace(held, version=version, epoch=epoch), taken_over=taken_over)


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
