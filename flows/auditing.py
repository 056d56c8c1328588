"""What the flows enter into the audit beside their work, how much of it stays, where else it goes.

What is entered with the thing that it tells is entered by its step, in the same transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Iterable, Iterator
from datetime import timedelta
from typing import Any, Final

import polars as pl

from flows.runtime import Run, Runtime
from policy.audit import AuditEntry, logged
from policy.errors import OptimizerError
from policy.settings import Settings
from storage.audit import append_audit, export_waits, state_of_audit
from storage.audit_retention import Kept, measure_audit, trim_audit
from tasks.audit_entries import (
    Turn,
    entries_dropped,
    export_turned,
    holds_turned,
    publish_accepted,
    publish_refused,
    settings_changed,
    settings_turned,
)
from tasks.audit_export import export_to_file, mirror_to_config_map
from tasks.audit_mirror import mirror_of
from tasks.publish import Publication

# Each write is a new copy of up to 900 KiB in etcd.
MIRRORED_EVERY: Final = timedelta(minutes=1)

_ONE_ENTRY_BYTES: Final = 1024

_log = logging.getLogger(__name__)


def note(runtime: Runtime, settings: Settings, entries: Iterable[AuditEntry]) -> None:
    """Enter them, unless the audit log is off; what is worth an alert raises one anyway."""
    append_audit(runtime.database, allowed(settings, entries))


def allowed(settings: Settings, entries: Iterable[AuditEntry]) -> list[AuditEntry]:
    """The entries, as the settings of the audit log have them."""
    return logged(entries, on=settings.audit_log.enabled)


def note_settings(runtime: Runtime, run: Run, settings: Settings) -> None:
    """Enter what somebody changed in the settings since the look before, and a broken change."""
    problem, known = runtime.settings_problem(), runtime.memory.settings
    runtime.memory.settings = (settings, problem)
    if known is None:
        return
    before, known_problem = known
    if problem != known_problem:
        turn = Turn(works=problem is None, problem=problem or known_problem or "")
        note(runtime, settings, [settings_turned(turn, run_id=run.run_id, at=runtime.clock())])
    if settings is not before and settings != before:
        changed = settings_changed(
            before.masked(), settings.masked(), run_id=run.run_id, at=runtime.clock()
        )
        note(runtime, settings, changed)


def note_refusal(runtime: Runtime, run: Run, settings: Settings, publication: Publication) -> None:
    """Enter why a plan was refused, and that it no longer is, when that is news.

    See `flows.words.publication_lines`.
    """
    if publication.problems == runtime.memory.refused:
        return
    now = runtime.clock()
    if publication.problems:
        entry = publish_refused(
            publication.problems, changes=publication.changes, run_id=run.run_id, at=now
        )
    else:
        entry = publish_accepted(run_id=run.run_id, at=now)
    note(runtime, settings, [entry])


def turned_holds(
    runtime: Runtime, run: Run, *, held: pl.DataFrame, known: pl.DataFrame, on: bool
) -> list[AuditEntry]:
    """The entries of the tenants that are held from now on, or no longer.

    Args:
        runtime: remembers who was held; after a start, the process before entered those.
        run: the run that holds them.
        held: LAYERS of the breaker from now on.
        known: LAYERS of the breaker until now.
        on: whether the breaker holds anybody.
    """
    before = runtime.memory.held
    if before is None:
        before = frozenset(known["tenant"])
    why = "the blast is over" if on else "the breaker is off"
    return list(
        holds_turned(held, before=before, why_released=why, run_id=run.run_id, at=runtime.clock())
    )


def keep_within(runtime: Runtime, run: Run, settings: Settings) -> None:
    """Let the oldest entries go at once where there are far too many; told each time."""
    log = settings.audit_log
    most = Kept(entries=log.max_entries, bytes=log.max_size)
    if measure_audit(runtime.database).share_of(most) <= log.emergency_threshold:
        return
    with runtime.database.transaction():
        # Room for the entry that tells it.
        room = Kept(entries=most.entries - 1, bytes=most.bytes - _ONE_ENTRY_BYTES)
        gone = trim_audit(runtime.database, most=room)
        dropped = entries_dropped(gone, run_id=run.run_id, at=runtime.clock())
        note(runtime, settings, [dropped])
    runtime.telemetry.audit_dropped.inc(len(gone))
    _log.warning(
        "the audit log was too full: the oldest %d entries went before their time; raise "
        "auditLog.maxEntries or auditLog.maxSize to keep more",
        len(gone),
    )


async def hand_out(runtime: Runtime) -> None:
    """Hand what was entered to the targets of the settings; one that fails, fails nothing.

    Asked at the end of each look, also of one that failed: that it did is an entry.
    """
    try:
        settings = runtime.settings()
        for target, work in _due(runtime, settings):
            await _handed(runtime, settings, target=target, work=work)
        _forget_failures(runtime, settings)
    except Exception as exc:  # noqa: BLE001 - whatever it was, the next look tries again
        _log.warning("the audit was not handed out: %s: %s", type(exc).__name__, exc)


def _due(runtime: Runtime, settings: Settings) -> Iterator[tuple[str, Coroutine[Any, Any, object]]]:
    log, database = settings.audit_log, runtime.database
    if log.file is not None and export_waits(database):
        yield "file", export_to_file(database, path=log.file, most_bytes=log.max_size)
    if log.storage_type == "configmap" and _may_write(settings) and _is_stale(runtime):
        yield (
            "configmap",
            mirror_to_config_map(database, mirror=mirror_of(settings), newest=log.max_entries),
        )


def _forget_failures(runtime: Runtime, settings: Settings) -> None:
    """What nobody wants any more does not fail."""
    log = settings.audit_log
    mirrors = log.storage_type == "configmap" and _may_write(settings)
    for target, wanted in (("file", log.file is not None), ("configmap", mirrors)):
        if not wanted and export_named(target) in runtime.failing:
            del runtime.failing[export_named(target)]
            runtime.telemetry.audit_export_failing.labels(target).set(0)


def export_named(target: str) -> str:
    """What handing the audit to this target is called in `Runtime.failing`."""
    return f"the export of the audit ({target})"


def _may_write(settings: Settings) -> bool:
    """A dry run writes nothing in a cluster, and made-up tenants are nobody's business there."""
    return settings.mode == "prod" and not settings.synthetic.enabled


def _is_stale(runtime: Runtime) -> bool:
    """Whether entries came since the ConfigMap was written; it is tried once a minute at most."""
    now, tried = runtime.clock(), runtime.memory.mirrored
    if tried is not None and now - tried[0] < MIRRORED_EVERY:
        return False
    state = state_of_audit(runtime.database)
    stale = tried is None or tried[1] != state
    if stale:
        runtime.memory.mirrored = (now, state)
    return stale


async def _handed(
    runtime: Runtime, settings: Settings, *, target: str, work: Coroutine[Any, Any, object]
) -> None:
    problem = None
    try:
        await work
    except (OptimizerError, TimeoutError) as exc:
        problem = str(exc) or type(exc).__name__
        if target == "configmap" and runtime.memory.mirrored is not None:
            runtime.memory.mirrored = (runtime.memory.mirrored[0], ())
    runtime.telemetry.audit_export_failing.labels(target).set(problem is not None)
    turn = runtime.say_once(export_named(target), problem=problem)
    if turn is not None:
        note(runtime, settings, [export_turned(turn, target=target, at=runtime.clock())])
