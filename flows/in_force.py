"""Which limits the tenants have, by what we published and what the operator set."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from flows.runtime import Runtime
from policy.changes import changes
from policy.document import parse
from policy.effective import beneath, overlaid
from policy.frames import LIMITS, empty
from policy.signals import SIZED
from storage.limits import observed_limits
from storage.revisions import Revision, newest_confirmed
from tasks.publish import last_written


def standing_limits(runtime: Runtime) -> pl.DataFrame:
    """LIMITS of our document that stands, as last looked at, else as the history knows it."""
    known = runtime.memory.standing
    return last_written(runtime.database) if known is None else known


def limits_in_force(
    runtime: Runtime, tenants: pl.Series, *, limits: Collection[str] = SIZED
) -> pl.DataFrame:
    """LIMITS that these tenants have now: what we published over what the operator set.

    Args:
        runtime: what remembers both.
        tenants: whose.
        limits: which are asked for; what we published of others is told too.
    """
    own = beneath(observed_limits(runtime.database), tenants=tenants, limits=sorted(limits))
    ours = standing_limits(runtime).filter(pl.col("tenant").is_in(tenants.implode()))
    return overlaid(own, above=ours)


def limits_loaded(runtime: Runtime, tenants: pl.Series, *, newest: Revision | None) -> pl.DataFrame:
    """LIMITS in force without those of which Mimir may have loaded the old value or the new one.

    A share of the old limit scaled by the new one would show a raise as demand.

    Args:
        runtime: what remembers the limits.
        tenants: whose.
        newest: the revision that was begun last.
    """
    in_force = limits_in_force(runtime, tenants)
    if newest is None or newest.outcome == "confirmed":
        return in_force
    confirmed = newest_confirmed(runtime.database)
    loaded = parse(confirmed.document.encode()) if confirmed else empty(LIMITS)
    on_the_way = changes(loaded, after=standing_limits(runtime))
    return in_force.join(on_the_way, on=["tenant", "limit"], how="anti")
