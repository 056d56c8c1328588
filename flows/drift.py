"""See what somebody else has changed in our document, tell it, and respect it or put it back.

Putting back needs nothing here: the next plan differs from what stands, and is written.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from flows.in_force import operator_limits
from flows.runtime import Run, Runtime
from policy.document import digest, parse
from policy.drift import as_pins, drifted, words
from policy.effective import beneath
from policy.frames import CHANGES, COMPOSED, LAYERS, empty
from policy.pins import LAYER
from policy.settings import Settings
from policy.tuned import catalogue_of
from policy.validate import validate
from policy.versions import known_to_all
from storage.audit import AuditEntry, append_audit
from storage.layers import read_layers, replace_layer
from storage.revisions import Intent, Revision, begin_revision, finish_revision
from tasks.publish import is_lost, may_stand
from tasks.say import say
from tasks.sinks import Published, Sink

ACTOR: Final = "somebody else"
COMPONENT: Final = "drift"


def see_drift(
    runtime: Runtime,
    run: Run,
    settings: Settings,
    *,
    sink: Sink,
    held: Published,
    stands: pl.DataFrame,
) -> None:
    """Compare what stands with what we left there; what differs is told once.

    Args:
        runtime: the history of what we left there.
        run: the run that looks.
        settings: whether what somebody else wrote is respected.
        sink: where it was found.
        held: what was found.
        stands: LIMITS that it says.
    """
    ours = may_stand(runtime.database, sink=sink.describe())
    if not ours or _is_one_of(ours, held=held, runtime=runtime):
        return
    found = drifted(parse(ours[0].document.encode()), found=stands)
    for revision in ours[1:]:
        found = _unsaid_by(revision, found=found)
    if found.is_empty():
        return
    runtime.telemetry.drifts.inc(found.height)
    now = runtime.clock()
    refusal = (
        _respect(runtime, run, settings, found=found, sink=sink, held=held, now=now)
        if settings.publish.drift == "respect"
        else ""
    )
    respected = refusal is None
    done = "it is respected, and pinned" if respected else f"it is put back{refusal}"
    say([f"somebody else changed {sink.describe()}, {words(found)}; {done}"])
    if settings.audit_log.enabled:
        append_audit(
            runtime.database, _entries(found, sink=sink, respected=respected, run=run, at=now)
        )


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
    now: datetime,
) -> str | None:
    """Pin what stands there; gives the reason where that must not be, None where it is done."""
    own = beneath(
        operator_limits(runtime),
        tenants=found["tenant"],
        limits=found["limit"].unique().sort().to_list(),
    )
    pins = as_pins(found, beneath=own, where=sink.describe(), now=now)
    words_of_pins = pl.concat([empty(LAYERS), *(pin.as_layer() for pin in pins)])
    catalogue = catalogue_of(settings.limits)
    problems = validate(
        words_of_pins.with_columns(decided_by=pl.lit(LAYER)),
        known=known_to_all(runtime.memory.versions, catalogue=catalogue),
        catalogue=catalogue,
    )
    if problems:
        return f", because it cannot be published: {problems[0]}"
    if len(pins) < found.height:
        return ", because what is in force without ours is not known"
    known = read_layers(runtime.database, now=now).filter(layer=LAYER)
    kept = known.join(words_of_pins, on=["tenant", "limit"], how="anti")
    document = (held.document or b"").decode()
    with runtime.database.transaction():
        replace_layer(runtime.database, LAYER, pl.concat([kept, words_of_pins]), run_id=run.run_id)
        intent = Intent(
            run_id=run.run_id,
            actor=ACTOR,
            sink=sink.describe(),
            document=document,
            changes=found.select(CHANGES.names()),
            composed=empty(COMPOSED),
        )
        revision = begin_revision(runtime.database, intent, at=now)
        finish_revision(
            runtime.database,
            revision=revision,
            outcome="inconclusive",
            detail="edited by hand, and respected",
            evidence={},
            at=now,
        )
    return None


def _entries(
    found: pl.DataFrame, *, sink: Sink, respected: bool, run: Run, at: datetime
) -> list[AuditEntry]:
    return [
        AuditEntry(
            at=at,
            category="user",
            component=COMPONENT,
            action="drift_respected" if respected else "drift_put_back",
            tenant=tenant,
            actor=ACTOR,
            run_id=run.run_id,
            success=True,
            details={"limit": limit, "before": before, "after": after, "sink": sink.describe()},
        )
        for tenant, limit, before, after in found.select(
            "tenant", "limit", "before", "after"
        ).iter_rows()
    ]
