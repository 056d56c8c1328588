"""The daily loop: look for leaks, keep the history small and whole. `optimize` makes the copy."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from prefect import flow

from flows.leaks import leaks_section, look_for_leaks
from flows.run_names import run_name
from flows.runtime import current
from policy.sustained import sustained_for
from storage.alerts import give_way
from storage.audit_retention import Kept
from storage.holds import drop_ended_holds
from storage.layers import drop_expired
from storage.maintenance import RETENTION, apply_retention, checkpoint
from tasks.record import rolled_up
from tasks.tell import table, tell

IN_VAIN: Final = timedelta(hours=1)
"""Alerts that nobody took for so long may give way."""


@flow(name="maintain", timeout_seconds=1800, validate_parameters=False, persist_result=False)
async def maintain() -> None:
    """Roll up, look for leaks, forget what is past its retention, fold the log into the file."""
    runtime = current()
    with runtime.run("maintain") as run:
        now = runtime.clock()
        settings = runtime.settings()
        held = sustained_for(settings)
        gone_after = settings.tenant_scoping.gone_after
        log = settings.audit_log
        retention = replace(
            RETENTION,
            looked_hours=max(RETENTION.looked_hours, gone_after),
            audit=log.max_age,
            most_audit=Kept(entries=log.max_entries, bytes=log.max_size),
        )
        buckets = await rolled_up(runtime.database, at=now, sustained_for=held)
        leaks = look_for_leaks(runtime, run, settings)
        expired = drop_expired(runtime.database, now=now)
        drop_ended_holds(runtime.database, now=now)
        deleted = apply_retention(
            runtime.database, now=now, sustained_for=held, retention=retention
        )
        deleted["alerts that nobody took"] = give_way(runtime.database, before=now - IN_VAIN)
        checkpoint(runtime.database)
        run.summary.update(buckets=buckets, expired_layers=expired, deleted=deleted)
        rows = [("rolled up", buckets), ("layers expired", expired), *deleted.items()]
        await tell(
            "# Maintain\n\n"
            + table(["what", "rows"], [(str(a), f"{b:,}") for a, b in rows])
            + leaks_section(leaks),
            key="maintain",
            description="What was rolled up and forgotten, and what creeps up.",
            name=run_name("maintain", run.summary),
        )
