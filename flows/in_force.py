"""Which limits the tenants have, by what we published and what the operator set."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import polars as pl

from flows.runtime import InForce, Runtime
from policy.changes import changes
from policy.document import parse
from policy.effective import beneath, overlaid
from policy.frames import LIMITS, empty
from policy.layers import Bounds, compose
from policy.signals import ACTIVE_SERIES_LIMIT, SIZED
from storage.limits import observed_limits
from storage.revisions import Revision, newest_confirmed
from tasks.publish import last_written

KEPT: Final = 8  # answers: all tenants', those that blast, those that blast next


def operator_limits(runtime: Runtime) -> pl.DataFrame:
    """LIMITS that the operator set, as seen last; read from the history once per change."""
    known = runtime.memory.observed
    if known is None:
        known = runtime.memory.observed = observed_limits(runtime.database)
    return known


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
    known = _in_force(runtime)
    names = sorted(limits)
    asked = (*names, frozenset(tenants))
    if asked not in known.found:
        if len(known.found) >= KEPT:
            known.found.clear()
        known.found[asked] = _put_together(known, tenants, names)
    return known.found[asked]


def limits_of(runtime: Runtime, tenants: pl.Series, limits: Collection[str]) -> pl.DataFrame:
    """LIMITS in force of just these limits, not remembered: for when all tenants are asked for."""
    found = _put_together(_in_force(runtime), tenants, sorted(limits))
    return found.filter(pl.col("limit").is_in(list(limits)))


def limits_beneath(
    runtime: Runtime,
    *,
    tenants: pl.Series,
    limits: Collection[str],
    words: pl.DataFrame,
    bounds: Bounds,
) -> pl.DataFrame:
    """LIMITS that these tenants would have with these words of ours alone.

    Args:
        runtime: what remembers what the operator set.
        tenants: whose.
        limits: which.
        words: LAYERS of the layers beneath.
        bounds: the hard bounds.
    """
    own = beneath(operator_limits(runtime), tenants=tenants, limits=sorted(limits))
    said = words.filter(
        pl.col("limit").is_in(list(limits)) & pl.col("tenant").is_in(tenants.implode())
    )
    composed = compose(said, beneath=own, bounds=bounds, now=runtime.clock())
    return overlaid(own, above=composed.select(LIMITS.names()))


def _put_together(known: InForce, tenants: pl.Series, names: list[str]) -> pl.DataFrame:
    own = beneath(known.observed, tenants=tenants, limits=names)
    ours = known.standing.filter(pl.col("tenant").is_in(tenants.implode()))
    return overlaid(own, above=ours)


def _in_force(runtime: Runtime) -> InForce:
    observed, standing = operator_limits(runtime), standing_limits(runtime)
    known = runtime.memory.in_force
    if known is None or known.observed is not observed or known.standing is not standing:
        known = runtime.memory.in_force = InForce(observed=observed, standing=standing)
    return known


def limits_loaded(runtime: Runtime, tenants: pl.Series, *, newest: Revision | None) -> pl.DataFrame:
    """LIMITS in force without those of which Mimir may have loaded the old value or the new one.

    A share of the old limit scaled by the new one would show a raise as demand.

    Args:
        runtime: what remembers the limits.
        tenants: whose.
        newest: the revision that was begun last.
    """
    in_force = limits_in_force(runtime, tenants, limits=(*SIZED, ACTIVE_SERIES_LIMIT))
    if newest is None or newest.outcome == "confirmed":
        return in_force
    confirmed = newest_confirmed(runtime.database)
    loaded = parse(confirmed.document.encode()) if confirmed else empty(LIMITS)
    on_the_way = changes(loaded, after=standing_limits(runtime))
    return in_force.join(on_the_way, on=["tenant", "limit"], how="anti")
