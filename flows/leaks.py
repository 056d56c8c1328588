"""Look once a day for what creeps up, and tell it once when it begins and once when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import polars as pl

from flows.auditing import allowed
from flows.in_force import limits_of
from flows.runtime import Run, Runtime
from policy.leaks import LEAKS, LIMIT_OF, judged
from policy.settings import Settings
from policy.tenancy import looked_after
from storage.audit import append_audit
from storage.leaks import creep_on, creeping, replace_running, running_leaks
from tasks.leak_entries import leaks_turned
from tasks.say import say
from tasks.tell import table

WORDS: Final = {"leak": "creeps up", "growth": "grows"}


def look_for_leaks(runtime: Runtime, run: Run, settings: Settings) -> pl.DataFrame:
    """Judge the days that are over; the LEAKS that are not over. The history is rolled up."""
    now = runtime.clock()
    day = creep_on(runtime.database, now=now)
    if day is None:
        return LEAKS.to_frame()
    found = creeping(runtime.database, day=day)
    wanted = looked_after(found["tenant"].unique(), settings=settings)
    found = found.filter(pl.col("tenant").is_in(wanted.implode()))
    limits = limits_of(runtime, wanted, list(LIMIT_OF.values()))
    begins, on, over = judged(
        running_leaks(runtime.database), creeping=found, limits=limits, now=now
    )
    running = pl.concat([begins, on]).sort("tenant", "signal")
    entries = leaks_turned(begins=begins, over=over, run_id=run.run_id, at=now)
    with runtime.database.transaction():
        replace_running(runtime.database, running, over=over)
        append_audit(runtime.database, allowed(settings, entries))
    say(_lines(begins, over=over))
    for kind in WORDS:
        runtime.telemetry.leaks.labels(kind).set(running.filter(kind=kind).height)
    run.summary["leaks"] = running["tenant"].to_list()
    return running


def leaks_section(running: pl.DataFrame) -> str:
    """The section of the report about LEAKS; empty where nothing creeps."""
    if running.is_empty():
        return ""
    rows = running.select("tenant", "kind", "because").rows()
    return "\n\n## Creeping up\n\n" + table(["tenant", "what", "why"], rows)


def _lines(begins: pl.DataFrame, *, over: pl.DataFrame) -> Iterator[str]:
    for tenant, kind, because in begins.select("tenant", "kind", "because").iter_rows():
        yield f"{tenant}  {WORDS[kind]}: {because}"
    for tenant, because in over.select("tenant", "because").iter_rows():
        yield f"{tenant}  rises no more: it went {because}"
