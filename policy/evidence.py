"""All that decisions follow from, brought together: what is known, what holds, what was done."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import polars as pl

from policy.activity import STATES
from policy.automation import MODES
from policy.capacity import Capacity
from policy.frames import LAYERS, MOVES, UTC_TIME, empty
from policy.leanings import LEANINGS
from policy.pins import pinned
from policy.standings import TARGETS

CHANGED: Final = pl.Schema({"tenant": pl.String(), "limit": pl.String(), "changed_at": UTC_TIME})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What one run of the recommender goes by.

    Attributes:
        estimates: ESTIMATES; a tenant or limit without a row was not measured.
        current: LIMITS that each tenant has now, defaults filled in, without the cap layers: a
            cap is lifted by whoever set it, not outgrown.
        coverage: pods answered / pods known of this run, 0..1.
        in_blast: tenants whose demand is a blast just now.
        activity: STATES of the tenants; who is not in it is at work.
        changed: CHANGED, when each limit was last changed by us.
        moves: MOVES of each limit by us.
        leanings: LEANINGS after the run before.
        modes: MODES; what is not in it changes by itself.
        canary_proven: the limits that the tenants who go first have proven.
        pins: LAYERS of the layer `pin`: what an operator's word holds in place.
        capacity: what the cluster can take.
        unproven: why a backtest that is asked for does not speak for the rules; None when it does,
            or when none is asked for.
        ingesters_changed_at: when their number last changed; None when it did not lately.
    """

    estimates: pl.DataFrame
    current: pl.DataFrame
    coverage: float
    in_blast: Collection[str] = ()
    activity: pl.DataFrame = field(default_factory=lambda: empty(STATES))
    changed: pl.DataFrame = field(default_factory=lambda: empty(CHANGED))
    moves: pl.DataFrame = field(default_factory=lambda: empty(MOVES))
    leanings: pl.DataFrame = field(default_factory=lambda: empty(LEANINGS))
    modes: pl.DataFrame = field(default_factory=lambda: empty(MODES))
    canary_proven: Collection[str] = ()
    pins: pl.DataFrame = field(default_factory=lambda: empty(LAYERS))
    capacity: Capacity = field(default_factory=Capacity)
    unproven: str | None = None
    ingesters_changed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recommended:
    """What was decided.

    Attributes:
        decisions: DECISIONS, sorted by tenant and limit.
        leanings: LEANINGS, for the next run.
        targets: TARGETS, what each decision was heading for.
    """

    decisions: pl.DataFrame
    leanings: pl.DataFrame
    targets: pl.DataFrame = field(default_factory=lambda: empty(TARGETS))


def known(rows: pl.DataFrame, *, evidence: Evidence) -> pl.DataFrame:
    """The rows (tenant, limit) with all that is known of each; what is not is null."""
    by_limit = ["tenant", "limit"]
    joined = rows.join(evidence.activity, on="tenant", how="left")
    for frame in (
        evidence.changed,
        evidence.moves,
        evidence.leanings,
        evidence.modes,
    ):
        joined = joined.join(frame, on=by_limit, how="left")
    return pinned(joined, evidence.pins).with_columns(
        pl.col("mode").fill_null("auto"),
        pl.col("directions").fill_null("both"),
        pl.col("first").fill_null(value=False),
        canary_proven=pl.col("limit").is_in(list(evidence.canary_proven)),
        unproven=pl.lit(evidence.unproven, dtype=pl.String),
    )
