"""Take a lowering back as soon as it refuses what the limit before it let in."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from flows.auditing import allowed
from flows.holding import overruled_now
from flows.in_force import limits_in_force
from flows.runtime import Run, Runtime
from policy.catalogue import unlimited_at_zero
from policy.frames import DECISIONS, empty
from policy.recommend import optimized_layer
from policy.reverts import reverts
from policy.settings import Settings
from policy.signals import PRESSURE_ON
from policy.tuned import catalogue_of, tuned
from storage.layers import read_layers
from storage.moves import lowered
from tasks.audit_entries import lowerings_reverted
from tasks.record import record_reverts
from tasks.say import say


async def take_back(
    runtime: Runtime,
    run: Run,
    settings: Settings,
    *,
    samples: pl.DataFrame,
    in_blast: Collection[str],
) -> pl.DataFrame:
    """The DECISIONS that take a lowering back, recorded; in a dry run nothing was lowered.

    Args:
        runtime: the history and the limits in force.
        run: the run of `protect`.
        settings: how long a lowering is watched.
        samples: SAMPLES of this look.
        in_blast: tenants that may not be raised.
    """
    biting = samples.filter(
        pl.col("signal").is_in(list(PRESSURE_ON.values())) & (pl.col("value") > 0)
    )
    if settings.mode != "prod" or biting.is_empty():
        return empty(DECISIONS)
    now = runtime.clock()
    tenants = biting["tenant"].unique()
    watched = lowered(
        runtime.database,
        now=now,
        within=settings.movement.watch_lowered,
        tenants=tenants.to_list(),
    )
    ours = tuned(settings.limits)
    # What a person holds or pins is not what was decided.
    theirs = overruled_now(runtime, tenants, limits=sorted(ours))
    watched = watched.join(theirs, on=["tenant", "limit"], how="anti")
    if watched.is_empty():
        return empty(DECISIONS)
    found = reverts(
        watched,
        samples=samples.filter(pl.col("tenant").is_in(tenants.implode())),
        in_force=limits_in_force(runtime, tenants, limits=ours),
        signals=ours,
        endless=unlimited_at_zero(catalogue_of(settings.limits)),
        in_blast=in_blast,
        now=now,
    )
    if found.is_empty():
        return found
    before = read_layers(runtime.database, now=now).filter(pl.col("layer") == "optimized")
    await record_reverts(
        found,
        optimized=optimized_layer(found, previous=before, written_at=now),
        database=runtime.database,
        run_id=run.run_id,
        flow=run.flow,
        audit=allowed(settings, lowerings_reverted(found, run_id=run.run_id, flow=run.flow)),
    )
    run.summary["reverted"] = found.height
    for row in found.iter_rows(named=True):
        runtime.telemetry.reverts.labels(row["limit"]).inc()
        say([f"{row['tenant']}  {row['limit']}  {row['detail']}"])
    return found
