"""Which processes of Mimir do not answer, told when that lasts."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from flows.auditing import note
from flows.runtime import Run, Runtime, Silence
from policy.scrape import Scrape
from policy.settings import Settings
from tasks.audit_entries import collection_turned

DEGRADED_AFTER: Final = timedelta(minutes=2)
"""A process that is rolled does not answer for less."""


def see_coverage(runtime: Runtime, run: Run, settings: Settings, *, seen: Scrape) -> None:
    """Enter that processes have not answered for a while, and that all of them do again."""
    memory, now = runtime.memory, runtime.clock()
    known = memory.silent_since
    if not seen.failed:
        memory.silent_since = None
        if known is not None and known.told:
            entry = collection_turned(seen, since=known.since, run_id=run.run_id, at=now)
            note(runtime, settings, [entry])
        return
    since = known or Silence(since=now)
    if not since.told and now - since.since >= DEGRADED_AFTER:
        since = Silence(since=since.since, told=True)
        entry = collection_turned(seen, since=since.since, run_id=run.run_id, at=now)
        note(runtime, settings, [entry])
    memory.silent_since = since
