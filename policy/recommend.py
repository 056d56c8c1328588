"""Recommend a limit for every tenant from what it is estimated to need, and say why, every time.

Raising is immediate; lowering is slow. Nothing is raised during a blast; nothing is lowered
below the recent peak, under discards, or on partial data; without data nothing changes at all.
A limit that is 0, unlimited or blocking, is somebody's word and is never scaled. Time and
history come in as arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Final

import polars as pl

from policy.evidence import Evidence, Recommended, known
from policy.frames import DECISIONS, LAYERS, UTC_TIME
from policy.gates import outcomes
from policy.leanings import leaning
from policy.movement import admitted, within_budget
from policy.rules import Rules
from policy.signals import INGESTION_BURST_SIZE, INGESTION_RATE, SAMPLES_PER_REQUEST
from policy.sizing import by_demand, by_rate
from policy.standings import targets
from policy.steps import steps

_KEYS: Final = ["tenant", "limit"]
_GATED: Final = (
    "points",
    "hours",
    "days",
    "last_at",
    "coverage",
    "confidence",
    "raised_at",
    "reversals",
)


def recommend(evidence: Evidence, *, rules: Rules, now: datetime) -> Recommended:
    """Decide every limit of every tenant that is measured or has a limit.

    A limit that Mimir leaves unlimited unless somebody sets it is decided where somebody has.
    First each limit is judged by itself; then what the cluster can take and what one run may
    change hold some back.

    Args:
        evidence: all that is known.
        rules: buffers, bounds, dead bands.
        now: aware UTC.

    Returns:
        The decisions; `after` is the limit that then holds, so `before` on a hold and on a
        withheld decision, null only where nothing is known.
    """
    rows = known(_subjects(evidence, rules=rules), evidence=evidence)
    judged = partial(
        outcomes,
        in_blast=evidence.in_blast,
        coverage=evidence.coverage,
        ingesters_changed_at=evidence.ingesters_changed_at,
        rules=rules,
        now=now,
    )
    is_burst = pl.col("limit") == INGESTION_BURST_SIZE

    by_itself = by_demand(rows.filter(~is_burst), rules=rules)
    nothing = pl.lit(None, dtype=pl.Float64)
    sized = judged(by_itself.with_columns(rate=nothing, request=nothing))
    burst = judged(
        by_rate(_follow(rows.filter(is_burst), sized=sized, evidence=evidence), rules=rules)
    )
    decided = pl.concat([sized, burst], how="diagonal_relaxed")
    kept = within_budget(admitted(decided, capacity=evidence.capacity), rules=rules)
    told = kept.with_columns(at=pl.lit(now).cast(UTC_TIME), steps=steps(rules=rules)).sort(_KEYS)
    return Recommended(
        decisions=told.select(DECISIONS.names()).cast(DECISIONS),
        leanings=leaning(told, falls=told["falls"], before=evidence.leanings),
        targets=targets(told),
    )


def optimized_layer(
    decisions: pl.DataFrame, *, previous: pl.DataFrame, written_at: datetime
) -> pl.DataFrame:
    """The `optimized` layer after these decisions.

    Args:
        decisions: DECISIONS, one per tenant and limit.
        previous: LAYERS, the rows of the layer `optimized` so far.
        written_at: stamp of the entries that change, aware UTC.

    Returns:
        LAYERS, sorted: a raise or lower replaces its entry, everything else stays as it was.
    """
    changed = decisions.filter(pl.col("outcome").is_in(["raise", "lower"])).select(
        "tenant",
        "limit",
        layer=pl.lit("optimized"),
        kind=pl.lit("set"),
        value="after",
        reason="detail",
        evidence="steps",
        written_at=pl.lit(written_at).cast(UTC_TIME),
        expires_at=pl.lit(None, dtype=UTC_TIME),
    )
    kept = previous.select(LAYERS.names()).join(changed, on=_KEYS, how="anti")
    return pl.concat([kept, changed.cast(LAYERS)]).sort(_KEYS)


def _subjects(evidence: Evidence, *, rules: Rules) -> pl.DataFrame:
    """Every tenant of either side times every limit, with what is estimated of it."""
    current, estimates = evidence.current, evidence.estimates
    tenants = pl.concat([estimates.select("tenant"), current.select("tenant")]).unique()
    wanted = pl.DataFrame({"limit": rules.limits}, schema={"limit": pl.String()})
    now_is = current.select(*_KEYS, before="value")

    assumed = pl.col("limit").replace_strict(
        _floats(rules.default_limits), default=None, return_dtype=pl.Float64
    )
    of_tier = pl.col("tenant").replace_strict(
        _floats(rules.buffer_by_tenant), default=None, return_dtype=pl.Float64
    )
    of_limit = pl.col("limit").replace_strict(
        _floats(rules.buffer_by_limit),
        default=float(rules.buffer_percentage),
        return_dtype=pl.Float64,
    )
    rows = (
        tenants.join(wanted, how="cross")
        .join(estimates, on=_KEYS, how="left")
        .join(now_is, on=_KEYS, how="left")
    )
    return (
        rows.with_columns(before=pl.coalesce("before", assumed))
        .filter(~_off(rules))
        .with_columns(
            pl.when(pl.col(name).is_finite() & (pl.col(name) >= 0)).then(name).alias(name)
            for name in ("demand", "recent")
        )
        .with_columns(buffer=1 + pl.coalesce(of_tier, of_limit) / 100)
        .join(
            # What burst follows, also where the rate itself is not recommended.
            now_is.filter(limit=INGESTION_RATE).select("tenant", rate_before="before"),
            on="tenant",
            how="left",
        )
    )


def _off(rules: Rules) -> pl.Expr:
    """Whether Mimir leaves the limit off unless somebody sets it, and nobody has."""
    endless = rules.bounds.endless
    optional = [
        name for name in rules.limits if name in endless and rules.catalogue[name].default == 0
    ]
    return pl.col("limit").is_in(optional) & (pl.col("before").fill_null(0) == 0)


def _follow(burst: pl.DataFrame, *, sized: pl.DataFrame, evidence: Evidence) -> pl.DataFrame:
    """Give each burst the rate that will hold, and the rate's own evidence for the gates.

    A burst that follows a rate must pass the gates with it: raised alone, a rate would soon
    exceed its burst. A request that is larger than the burst is refused whole, so the size of
    the requests comes along.
    """
    rates = sized.filter(limit=INGESTION_RATE).select(
        "tenant",
        *_GATED,
        rate=pl.coalesce("pinned_value", "after"),
        rate_pressed="pressed_days_ago",
        rate_pressure="pressure",
    )
    requests = evidence.estimates.filter(limit=SAMPLES_PER_REQUEST).select(
        "tenant", request="recent"
    )
    return (
        burst.drop(_GATED)
        .join(rates, on="tenant", how="left")
        .join(requests, on="tenant", how="left")
        .with_columns(
            rate=pl.coalesce("rate", "rate_before"),
            pressure=pl.max_horizontal("pressure", "rate_pressure"),
            pressed_days_ago=pl.min_horizontal("pressed_days_ago", "rate_pressed"),
        )
    )


def _floats(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}
