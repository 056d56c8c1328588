"""What the state of an emergency means for each limit: caps of the layer `emergency`.

A cap is a share of a base: what lay beneath when the emergency began, kept in the evidence of
the cap. So the same state gives the same caps however often it is asked, whatever `optimize` does
meanwhile: a raise beneath does not lift a cap, and a lowering applies by itself. No cap is below
what its tenant usually needs, unless panic squeezes that too, none below the hard bounds or zero,
and none says more than its base.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from policy.emergency.state import State
from policy.emergency.words import action_words
from policy.figures import grouped
from policy.frames import LAYERS, LIMITS, UTC_TIME, empty
from policy.layers import Bounds, bounded
from policy.signals import (
    INGESTION_BURST_SIZE,
    INGESTION_RATE,
    REQUEST_BURST_SIZE,
    REQUEST_RATE,
    SERIES,
)

LAYER: Final = "emergency"
INGESTION: Final = (INGESTION_RATE, INGESTION_BURST_SIZE)
REDUCED: Final = (
    *INGESTION,
    REQUEST_RATE,
    REQUEST_BURST_SIZE,
    SERIES,
    "max_global_metadata_per_user",
)
"""What `reduce_limits` cuts: limits on what a tenant sends. To cut those on rules, alerts or
silences refuses people's work and frees nothing."""
BURST_OF: Final = {INGESTION_RATE: INGESTION_BURST_SIZE, REQUEST_RATE: REQUEST_BURST_SIZE}
QUERIES: Final = ("max_queriers_per_tenant", "max_query_parallelism")
_ONE: Final = 1.0
_REQUESTS: Final = 4.0  # a burst lets the mean request in, and one that is four times as large
_KEYS: Final = ("tenant", "limit")

# The limits beneath as they were when the emergency began; null where that is not known.
BASE: Final = LIMITS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """What the caps are made from.

    Attributes:
        base: BASE of what may be capped; what is unlimited or not known is not cut.
        critical: tenants that only panic's `reduce_limits` cuts.
        needs: NEEDS, below which nobody is cut unless the state squeezes.
        requests: tenant, request: mean samples of a request.
        spoken: tenant, limit of holds and pins, which win over a cap.
        queries: the limits of QUERIES that every running Mimir knows.
        bounds: the hard bounds.
    """

    base: pl.DataFrame
    critical: Collection[str]
    needs: pl.DataFrame
    requests: pl.DataFrame
    spoken: pl.DataFrame
    queries: Collection[str]
    bounds: Bounds


def base_of(layer: pl.DataFrame) -> pl.DataFrame:
    """BASE that these caps were made from."""
    return layer.select(
        *_KEYS,
        value=pl.col("evidence").str.json_path_match("$.base").cast(pl.Float64, strict=False),
    )


def emergency_layer(state: State, *, ground: Ground, written_at: datetime) -> pl.DataFrame:
    """The caps of this state.

    Args:
        state: of the emergency.
        ground: what they are made from.
        written_at: stamp of the entries, aware UTC.

    Returns:
        LAYERS of the layer `emergency`, sorted; empty without an emergency.
    """
    if not state.is_emergency:
        return empty(LAYERS)
    capped = pl.concat([_shares(state, ground), _queries(state, ground)])
    return (
        capped.join(ground.spoken.select(_KEYS), on=_KEYS, how="anti")
        .select(
            *_KEYS,
            layer=pl.lit(LAYER),
            kind=pl.lit("cap"),
            value="value",
            reason=pl.format("{}: {}", "done", pl.lit(state.because)),
            evidence=pl.struct("base", "cut", "action", "need", "taken").struct.json_encode(),
            written_at=pl.lit(written_at).cast(UTC_TIME),
            expires_at=pl.lit(None, dtype=UTC_TIME),
        )
        .cast(LAYERS)
        .sort(_KEYS)
    )


def same(wanted: pl.DataFrame, known: pl.DataFrame) -> bool:
    """Whether two layers say the same, whenever they were written."""
    but_when = [name for name in LAYERS.names() if name != "written_at"]
    return wanted.select(but_when).sort(_KEYS).equals(known.select(but_when).sort(_KEYS))


def _shares(state: State, ground: Ground) -> pl.DataFrame:
    """tenant, limit, value, base, cut, action, done: what is a share of its base."""
    endless = list(ground.bounds.endless)
    base = ground.base.filter(
        pl.col("limit").is_in(REDUCED)
        & pl.col("value").is_finite()
        & ((pl.col("value") > 0) | ~pl.col("limit").is_in(endless))
    ).join(ground.spoken.select(_KEYS), on=_KEYS, how="anti")
    cuts = _floored(_cuts(base, state, critical=ground.critical), state, ground)
    least = pl.max_horizontal("share", "floor")
    others = (
        cuts.filter(~pl.col("limit").is_in(list(BURST_OF.values())))
        .with_columns(value=_whole(least, bounds=ground.bounds))
        .filter((pl.col("cut") > 0) & (pl.col("value") < pl.col("base")))
    )
    # A burst below its rate is refused by Mimir's file as a whole: it follows a capped rate.
    rates = others.filter(pl.col("limit").is_in(list(BURST_OF))).select(
        "tenant", limit=pl.col("limit").replace(BURST_OF), rate="value"
    )
    of_samples = pl.col("limit") == INGESTION_BURST_SIZE
    requests = pl.when(of_samples).then(pl.col("request") * _REQUESTS)
    bursts = (
        cuts.join(rates, on=_KEYS)
        .join(ground.requests, on="tenant", how="left")
        .with_columns(
            value=_whole(pl.max_horizontal(least, "rate", requests), bounds=ground.bounds)
        )
        .with_columns(value=pl.max_horizontal("value", "rate"))
        .filter(pl.col("value") < pl.col("base"))
    )
    columns = [*_KEYS, "value", "base", "cut", "action", "need", "taken", "spared"]
    return (
        pl.concat([others.select(columns), bursts.select(columns)])
        .with_columns(
            done=pl.format(
                "{} from {} to {}{}",
                _told("action"),
                grouped(pl.col("base")),
                grouped(pl.col("value")),
                "spared",
            )
        )
        .drop("spared")
    )


def _floored(cuts: pl.DataFrame, state: State, ground: Ground) -> pl.DataFrame:
    """The cuts with share, need, taken (percent of the need), floor, and spared, in words."""
    is_critical = pl.col("tenant").is_in(list(ground.critical))
    taken = {critical: state.taken(critical=critical) for critical in (False, True)}
    left = 100 - pl.col("taken")
    return (
        cuts.join(ground.needs, on=_KEYS, how="left")
        .with_columns(
            share=pl.col("base") * (100 - pl.col("cut")) / 100,
            taken=pl.when(is_critical).then(taken[True]).otherwise(taken[False]),
        )
        .with_columns(floor=pl.col("need") * left / 100)
        .with_columns(
            spared=pl.when((pl.col("floor") > pl.col("share")).not_().fill_null(value=True))
            .then(pl.lit(""))
            .when(pl.col("taken") > 0)
            .then(pl.format(", {} % of what it usually needs", left.round().cast(pl.Int64)))
            .otherwise(pl.lit(", what it usually needs"))
        )
    )


def _cuts(base: pl.DataFrame, state: State, *, critical: Collection[str]) -> pl.DataFrame:
    """tenant, limit, base, cut (percent points), action: the strongest that applies."""
    spared = pl.col("tenant").is_in(list(critical))
    ingestion = pl.col("limit").is_in(INGESTION)
    reduced = state.points("reduce_limits")
    in_panic = reduced if state.level == "panic" else 0.0
    strongest = max(("throttle_ingestion", "circuit_breaker"), key=state.points)
    ingested = state.points(strongest)
    cut = (
        pl.when(spared)
        .then(in_panic)
        .when(ingestion)
        .then(max(ingested, reduced))
        .otherwise(reduced)
    )
    action = pl.when(~spared & ingestion & (ingested >= reduced)).then(pl.lit(strongest))
    return base.select(
        *_KEYS,
        base="value",
        cut=cut.cast(pl.Float64),
        action=action.otherwise(pl.lit("reduce_limits")),
    )


def _queries(state: State, ground: Ground) -> pl.DataFrame:
    """One querier and one part at a time, until the last step, for who is not critical."""
    names = list(ground.queries) if "disable_queries" in state.actions else []
    tenants = ground.base.select("tenant").unique()
    known = ground.base.select(*_KEYS, base="value")
    return (
        tenants.filter(~pl.col("tenant").is_in(list(ground.critical)))
        .join(pl.DataFrame({"limit": names}, schema={"limit": pl.String()}), how="cross")
        .join(known, on=_KEYS, how="left")
        .with_columns(value=_whole(pl.lit(_ONE), bounds=ground.bounds))
        .filter(
            (pl.col("base") > pl.col("value")) | (pl.col("base") == 0) | pl.col("base").is_null()
        )
        .select(
            *_KEYS,
            "value",
            "base",
            cut=pl.lit(100.0),
            action=pl.lit("disable_queries"),
            need=pl.lit(None, dtype=pl.Float64),
            taken=pl.lit(0.0),
            done=pl.lit(action_words("disable_queries")),
        )
    )


def _whole(value: pl.Expr, *, bounds: Bounds) -> pl.Expr:
    """Up to a whole number of at least one, which every limit takes, within the bounds."""
    return bounded(value.ceil().clip(_ONE), bounds=bounds)


def _told(column: str) -> pl.Expr:
    names = ("reduce_limits", "throttle_ingestion", "circuit_breaker")
    return pl.col(column).replace_strict({name: action_words(name) for name in names})
