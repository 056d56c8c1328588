"""Take over what stands in a sink before our first revision there: it is what we return to.

When the history was lost, the document holds the limits that it knew. They become the
`optimized` layer again, so that losing the history loses no limit. A restored history is older than
what stands, and takes that over likewise.
"""

from __future__ import annotations

import polars as pl

from flows.in_force import operator_limits
from flows.runtime import Run, Runtime
from policy.catalogue import blocked_at_zero
from policy.document import render
from policy.effective import as_optimized
from policy.frames import CHANGES, COMPOSED, LIMITS, empty
from policy.pins import LAYER
from storage.layers import read_layers, replace_layer
from storage.limits import observe_limits
from storage.restoring import restored_at
from storage.revisions import Intent, begin_revision, finish_revision, newest_revision
from tasks.say import say
from tasks.sinks import Published, Sink


def take_over(
    runtime: Runtime, run: Run, *, sink: Sink, held: Published, stands: pl.DataFrame
) -> None:
    """Record what the sink holds as its first revision, unless this history has it already.

    Args:
        runtime: where it is recorded.
        run: the run that found it.
        sink: where it was found.
        held: what was found; nothing stands for a document that says nothing.
        stands: LIMITS that it says.
    """
    if runtime.memory.ours == sink.describe():
        return
    newest = newest_revision(runtime.database)
    restored = restored_at(runtime.database)
    older = restored is not None and newest is not None and newest.at <= restored
    if newest is not None and newest.sink == sink.describe() and not older:
        runtime.memory.ours = sink.describe()
        return
    adopt(runtime, run, sink=sink, held=held, stands=stands)
    if not stands.is_empty():
        say([_found(sink, stands=stands, lost=newest is None, older=older)])


def _found(sink: Sink, *, stands: pl.DataFrame, lost: bool, older: bool) -> str:
    if lost:
        missing = (
            "; this history knows nothing of it: pins, holds and a pause that were said before "
            "are not known any more"
        )
    else:
        missing = ", as it is newer than the restored history" if older else ""
    limits = f"{stands.height} limits of {stands['tenant'].n_unique()} tenants"
    return f"taken over from {sink.describe()}: {limits}{missing}"


def adopt(runtime: Runtime, run: Run, *, sink: Sink, held: Published, stands: pl.DataFrame) -> None:
    """Record what the sink holds as the revision to return to: somebody else wrote it.

    Args:
        runtime: where it is recorded.
        run: the run that found it.
        sink: where it was found.
        held: what was found; nothing stands for a document that says nothing.
        stands: LIMITS that it says.
    """
    document = held.document or b""
    if not document.strip():
        document = render(empty(COMPOSED))
    found = Intent(
        run_id=run.run_id,
        actor="found",
        sink=sink.describe(),
        document=document.decode(),
        changes=empty(CHANGES),
        composed=empty(COMPOSED),
    )
    now = runtime.clock()
    with runtime.database.transaction():
        revision = begin_revision(runtime.database, found, at=now)
        finish_revision(
            runtime.database,
            revision=revision,
            outcome="confirmed",
            detail="found in place, and taken over",
            evidence={},
            at=now,
        )
        _let_optimized_say(runtime, run, stands=stands)
    runtime.memory.ours = sink.describe()


def _let_optimized_say(runtime: Runtime, run: Run, *, stands: pl.DataFrame) -> None:
    """Let the `optimized` layer say what stands, where no word of its own contradicts.

    A 0 that blocks a tenant can only have been pinned, and becomes a pin again.
    """
    now = runtime.clock()
    said = read_layers(runtime.database, now=now)
    words, pins = said.filter(layer="optimized"), said.filter(layer=LAYER)
    unsaid = stands.join(words, on=["tenant", "limit"], how="anti")
    if unsaid.is_empty():
        return
    adopted = as_optimized(unsaid, reason="read back from what is published", written_at=now)
    blocks = (pl.col("value") == 0) & pl.col("limit").is_in(list(blocked_at_zero()))
    blocking = adopted.filter(blocks).with_columns(layer=pl.lit(LAYER), evidence=pl.lit("{}"))
    for layer, kept, new in (
        ("optimized", words, adopted.filter(~blocks)),
        (LAYER, pins, blocking.join(pins, on=["tenant", "limit"], how="anti")),
    ):
        if not new.is_empty():
            replace_layer(runtime.database, layer, pl.concat([kept, new]), run_id=run.run_id)
    # Without the history, our own word in Mimir's answer was taken for the operator's.
    observed = operator_limits(runtime)
    own = observed.join(stands, on=LIMITS.names(), how="anti")
    observe_limits(runtime.database, own, at=now)
    runtime.memory.observed = None
