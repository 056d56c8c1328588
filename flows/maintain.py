"""The daily loop: keep the history small, whole and readable beside us."""

from __future__ import annotations

from prefect import flow

from flows.runtime import current
from storage.layers import drop_expired
from storage.maintenance import apply_retention, checkpoint, snapshot
from storage.rollups import roll_up
from tasks.tell import table, tell


@flow(name="maintain", timeout_seconds=1800, validate_parameters=False)
async def maintain() -> None:
    """Roll up, forget what is past its retention, fold the log into the file, copy it."""
    runtime = current()
    with runtime.run("maintain") as run:
        now = runtime.clock()
        buckets = roll_up(runtime.database, now=now)
        expired = drop_expired(runtime.database, now=now)
        deleted = apply_retention(runtime.database, now=now)
        checkpoint(runtime.database)
        if runtime.database.path is not None:
            snapshot(runtime.database)
        run.summary.update(buckets=buckets, expired_layers=expired, deleted=deleted)
        rows = [("rolled up", buckets), ("layers expired", expired), *deleted.items()]
        await tell(
            "# Maintain\n\n" + table(["what", "rows"], [(str(a), f"{b:,}") for a, b in rows]),
            key="maintain",
            description="What was rolled up and forgotten.",
        )
