"""See what somebody else has changed in our document, tell it, and respect it or put it back.

Putting back needs nothing here: the next plan differs from what stands, and is written.
"""

from __future__ import annotations

import polars as pl

from flows.auditing import note
from flows.in_force import operator_limits
from flows.planning import planned
from flows.runtime import Run, Runtime
from policy.document import digest, parse
from policy.drift import as_pins, drifted, words
from policy.effective import beneath
from policy.frames import CHANGES
from policy.pins import LAYER
from policy.settings import Settings
from storage.holds import read_holds
from storage.layers import read_layers, replace_layer
from storage.revisions import (
    Intent,
    Revision,
    begin_revision,
    finish_revision,
    may_stand,
)
from tasks.audit_entries import SOMEBODY, drifted_limits
from tasks.publish import is_lost
from tasks.say import say
from tasks.sinks import Published, Sink


def see_drift(
    runtime: Runtime,
    run: Run,
    settings: Settings,
    *,
    sink: Sink,
    held: Published,
    stands: pl.DataFrame,
    waits: str | None,
) -> None:
    """Compare what stands with what we left there; what differs is told once.

    Only for the one who writes there: to all others it is the writer's.

    Args:
        runtime: the history of what we left there.
        run: the run that looks.
        settings: whether what somebody else wrote is respected.
        sink: where it was found.
        held: what was found.
        stands: LIMITS that it says.
        waits: why nothing is written there now; None: it is.
    """
    if runtime.memory.looked_at == held.version:
        return
    runtime.memory.looked_at = held.version
    seen = "" if held.document is None else digest(held.document)
    if runtime.memory.drift == seen:
        return
    ours = may_stand(runtime.database, sink=sink.describe())
    if not ours or _is_one_of(ours, held=held, runtime=runtime):
        return
    found = drifted(parse(ours[0].document.encode()), found=stands)
    for revision in ours[1:]:
        found = _unsaid_by(revision, found=found)
    if found.is_empty():
        return
    runtime.memory.drift = seen
    runtime.telemetry.drifts.inc(found.height)
    respected = settings.publish.drift == "respect"
    refusal = (
        _respect(runtime, run, settings, found=found, sink=sink, held=held, stands=stands)
        if respected
        else None
    )
    respected = respected and refusal is None
    if respected:
        done = "it is respected, and pinned"
    else:
        done = f"it waits: {waits}" if waits else f"it is put back{refusal or ''}"
        entries = drifted_limits(
            found,
            action="drift_put_back",
            sink=sink.describe(),
            run_id=run.run_id,
            at=runtime.clock(),
        )
        note(runtime, settings, entries)
    say([f"somebody else changed {sink.describe()}, {words(found)}; {done}"])


def _is_one_of(ours: list[Revision], *, held: Published, runtime: Runtime) -> bool:
    """Whether one of these documents stands there; if its write was lost, it waits for proof."""
    sha256 = None if held.document is None else digest(held.document)
    for revision in ours:
        if revision.sha256 != sha256:
            continue
        if is_lost(revision):
            finish_revision(
                runtime.database,
                revision=revision.revision,
                outcome="inconclusive",
                detail="its write was answered with an error, and has arrived all the same",
                evidence={},
                at=runtime.clock(),
            )
        return True
    return False


def _unsaid_by(revision: Revision, *, found: pl.DataFrame) -> pl.DataFrame:
    """The CHANGES to values that this revision did not say: a part of it may have arrived."""
    said = parse(revision.document.encode()).select("tenant", "limit", said="value")
    both = found.join(said, on=["tenant", "limit"], how="left", maintain_order="left")
    return both.filter(pl.col("after").ne_missing(pl.col("said"))).drop("said")


def _respect(
    runtime: Runtime,
    run: Run,
    settings: Settings,
    *,
    found: pl.DataFrame,
    sink: Sink,
    held: Published,
    stands: pl.DataFrame,
) -> str | None:
    """Pin what stands there; gives the reason where that must not be, None where it is done."""
    now = runtime.clock()
    own = beneath(
        operator_limits(runtime),
        tenants=found["tenant"],
        limits=found["limit"].unique().sort().to_list(),
    )
    pins = as_pins(found, beneath=own, where=sink.describe(), now=now)
    if len(pins) < found.height:
        return ", because what is in force without ours is not known"
    new = pl.concat([pin.as_layer() for pin in pins])
    layers = read_layers(runtime.database, now=now)
    pinned = pl.concat([layers.join(new, on=["tenant", "limit", "layer"], how="anti"), new])
    holds = read_holds(runtime.database)
    before = planned(runtime, settings, layers=layers, holds=holds, stands=stands)
    after = planned(runtime, settings, layers=pinned, holds=holds, stands=stands)
    if added := [problem for problem in after.problems if problem not in before.problems]:
        return f", because it cannot be published: {added[0]}"
    intent = Intent(
        run_id=run.run_id,
        actor=SOMEBODY,
        sink=sink.describe(),
        document=(held.document or after.document).decode(),
        changes=found.select(CHANGES.names()),
        composed=after.composed,
    )
    with runtime.database.transaction():
        replace_layer(runtime.database, LAYER, pinned.filter(layer=LAYER), run_id=run.run_id)
        revision = begin_revision(runtime.database, intent, at=now)
        finish_revision(
            runtime.database,
            revision=revision,
            outcome="inconclusive",
            detail="edited by hand, and respected",
            evidence={},
            at=now,
        )
        entries = drifted_limits(
            found, action="drift_respected", sink=sink.describe(), run_id=run.run_id, at=now
        )
        note(runtime, settings, entries)
    return None
