"""What follows from holds beside what is published: what falls back, and what is not decided."""

from __future__ import annotations

import polars as pl

from flows.in_force import operator_limits
from flows.runtime import Runtime
from policy.document import parse
from policy.effective import beneath
from policy.holds import EVERYONE, Hold, overruling, silent_layer
from storage.holds import read_holds, release
from storage.layers import read_layers
from storage.revisions import get_revision


def fall_back(runtime: Runtime, *, audit: bool) -> None:
    """Let tenants whose own hold has ended be held with everyone again, where everyone is held."""
    now = runtime.clock()
    holds = read_holds(runtime.database)
    ended = holds.filter((pl.col("until") <= now) & (pl.col("tenant") != EVERYONE))
    everyone = holds.filter(
        (pl.col("tenant") == EVERYONE) & (pl.col("until").is_null() | (pl.col("until") > now))
    )
    if ended.is_empty() or everyone.is_empty():
        return
    word = Hold(**everyone.row(0, named=True))
    said = parse(get_revision(runtime.database, word.revision).document.encode())
    for tenant, by in ended.select("tenant", "by").iter_rows():
        release(
            runtime.database,
            tenant=tenant,
            everyone=(word, said),
            by=by,
            reason="its time is over",
            at=now,
            audit=audit,
        )


def overruled(
    runtime: Runtime, tenants: pl.Series, *, limits: list[str], layers: pl.DataFrame
) -> pl.DataFrame:
    """LAYERS of an operator's words on these limits: pins, holds, and what a hold silences.

    Args:
        runtime: the holds, and what the operator set.
        tenants: whose.
        limits: which.
        layers: LAYERS as they are now.
    """
    now = runtime.clock()
    spoken = overruling(layers, now=now)
    holds = read_holds(runtime.database)
    if holds.is_empty():
        return spoken
    own = beneath(operator_limits(runtime), tenants=tenants, limits=limits)
    return pl.concat([spoken, silent_layer(holds, own=own, spoken=spoken, now=now)])


def overruled_now(runtime: Runtime, tenants: pl.Series, *, limits: list[str]) -> pl.DataFrame:
    """As `overruled`, by the layers that are stored."""
    layers = read_layers(runtime.database, now=runtime.clock())
    return overruled(runtime, tenants, limits=limits, layers=layers)
