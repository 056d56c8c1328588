"""Tell when all tenants together ask for far more than usual, though perhaps none of them blasts.

The same z as a tenant's, of the sum: against the sums of the same hours of the last four weeks, and
above whatever five minutes of the last day came to. Nobody is capped for it: a breaker is of a
tenant, and the emergency goes by what the cluster has left.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.detection import (
    ABOVE_PEAK,
    KIND_OF,
    LEAST_SPREAD,
    MAD_TO_SIGMA,
    UNIT_OF,
    UNUSUAL_Z,
    YOUNG_FACTOR,
    Kind,
)
from policy.figures import TIMES, figure
from policy.frames import UTC_TIME
from policy.usual import seasoned

# What is usual of the sum over all tenants. `mid` and `spread` are the median and the median
# absolute deviation of its logarithms, `points` hours of past weeks; `recent` is the median of the
# last six hours, `peak` the highest of these hours and of the five minutes of the last day.
CLUSTER_USUAL: Final = pl.Schema(
    {
        "signal": pl.String(),
        "mid": pl.Float64(),
        "spread": pl.Float64(),
        "points": pl.Int64(),
        "recent": pl.Float64(),
        "peak": pl.Float64(),
    }
)
# A rise of one kind that is not over. `tenants` is JSON: by how much each of the first few rose.
RISES: Final = pl.Schema(
    {
        "kind": pl.String(),
        "began_at": UTC_TIME,
        "value": pl.Float64(),
        "usual": pl.Float64(),
        "z": pl.Float64(),
        "because": pl.String(),
        "tenants": pl.String(),
        "over_at": UTC_TIME,
        "grown": pl.Boolean(),
    }
)
# The sums of a look. `unusual` may begin a rise, `calm` may end one; null: nothing is usual yet.
SUMS: Final = pl.Schema(
    {
        "kind": pl.String(),
        "value": pl.Float64(),
        "usual": pl.Float64(),
        "z": pl.Float64(),
        "unusual": pl.Boolean(),
        "calm": pl.Boolean(),
    }
)
# By how much each tenant is above its usual.
RISEN: Final = pl.Schema({"tenant": pl.String(), "kind": pl.String(), "more": pl.Float64()})
CALM_Z: Final = 3.0
YOUNG_CALM: Final = 2.0
LOOKS: Final = 2
CALM_FOR: Final = timedelta(minutes=5)
GROWN_AFTER: Final = timedelta(days=1)
NAMED: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is remembered of a kind between two looks.

    Attributes:
        looks: in which it was unusual, without a break.
        calm_since: when it became calm.
    """

    looks: int = 0
    calm_since: datetime | None = None


def sums(latest: pl.DataFrame, *, usual: pl.DataFrame, least: Mapping[Kind, float]) -> pl.DataFrame:
    """SUMS of a look, sorted by kind.

    Args:
        latest: SAMPLES of one look; those of other signals are left out.
        usual: CLUSTER_USUAL.
        least: per second, of each kind: a rise by less is nobody's trouble.
    """
    value, z = pl.col("value"), pl.col("z")
    spread = pl.max_horizontal(pl.col("spread") * MAD_TO_SIGMA, LEAST_SPREAD)
    kind = pl.col("kind").replace_strict(dict(least), return_dtype=pl.Float64)
    # Where nothing is usual, as of new series in a small cluster, no ratio says anything.
    young = pl.when(pl.col("usual") > 0).then(pl.col("usual") * YOUNG_FACTOR)
    out = pl.when(seasoned()).then(z > UNUSUAL_Z).otherwise(value > young)
    return (
        latest.filter(pl.col("signal").is_in(list(KIND_OF)) & value.is_finite())
        .sort("at")
        .unique(["tenant", "signal"], keep="last")
        .group_by("signal")
        .agg(value.sum())
        .join(usual, on="signal", how="left")
        .with_columns(
            kind=pl.col("signal").replace_strict(KIND_OF, return_dtype=pl.String),
            usual=pl.when(seasoned()).then(pl.col("mid").exp()).otherwise("recent"),
            z=pl.when(seasoned() & (value > 0)).then((value.log() - pl.col("mid")) / spread),
        )
        .with_columns(
            unusual=out & (value > pl.col("peak") * ABOVE_PEAK) & (value - pl.col("usual") >= kind),
            calm=pl.when(seasoned())
            .then(z.fill_null(0.0) < CALM_Z)
            .otherwise(value < pl.col("usual") * YOUNG_CALM),
        )
        .select(SUMS.names())
        .cast(SUMS)
        .sort("kind")
    )


def stepped(
    running: pl.DataFrame,
    *,
    found: pl.DataFrame,
    watched: Mapping[str, Watch],
    risen: pl.DataFrame,
    now: datetime,
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, Watch]]:
    """The rises that begin with this look, those that are over with it, and what to remember.

    Args:
        running: RISES that are not over.
        found: SUMS of this look.
        watched: what was remembered, by kind.
        risen: RISEN, the most first.
        now: aware UTC.
    """
    begins, over, memory = [], [], {}
    known = {row["kind"]: row for row in running.iter_rows(named=True)}
    for row in found.iter_rows(named=True):
        kind = row["kind"]
        before = watched.get(kind, Watch())
        looks = before.looks + 1 if row["unusual"] else 0
        calm_since = (before.calm_since or now) if row["calm"] else None
        memory[kind] = Watch(looks=looks, calm_since=calm_since)
        rise = known.get(kind)
        if rise is None and looks >= LOOKS:
            begins.append(_rise(row, risen=risen, now=now))
        elif rise is not None and calm_since is not None and now - calm_since >= CALM_FOR:
            over.append(rise | {"over_at": now})
        elif rise is not None and now - rise["began_at"] >= GROWN_AFTER:
            over.append(rise | {"over_at": now, "grown": True})
    return (
        pl.DataFrame(begins, schema=RISES),
        pl.DataFrame(over, schema=RISES),
        {**watched, **memory},
    )


def _rise(row: Mapping[str, float], *, risen: pl.DataFrame, now: datetime) -> dict[str, object]:
    kind: Kind = row["kind"]  # type: ignore[assignment]
    unit = UNIT_OF[kind]
    more = dict(risen.filter(kind=kind).head(NAMED).select("tenant", "more").iter_rows())
    times = figure(row["value"] / row["usual"])
    because = (
        f"{figure(row['value'])}{unit} asked for by all, "
        f"{times} {TIMES} the usual {figure(row['usual'])}{unit}"
    )
    if more:
        named = ", ".join(f"{tenant} +{figure(value)}" for tenant, value in more.items())
        because += f"; most of the rise: {named}"
    return {
        **{name: row[name] for name in ("kind", "value", "usual", "z")},
        "began_at": now,
        "because": because,
        "tenants": json.dumps(more),
        "over_at": None,
        "grown": False,
    }
