"""Recommend a limit for every tenant from what it asked for, and say why, every time.

Raising is immediate; lowering is slow. Nothing is raised during a blast; nothing is lowered
below the recent peak, under discards, or on partial data; without data nothing changes at all.
A limit that is 0, unlimited or blocking, is somebody's word and is never scaled. Time and
history come in as arguments.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial
from typing import Final

import polars as pl

from policy.activity import STATES
from policy.frames import DECISIONS, LAYERS, UTC_TIME
from policy.gates import outcomes
from policy.rules import Rules
from policy.signals import INGESTION_BURST_SIZE, INGESTION_RATE
from policy.sizing import by_peak, by_rate
from policy.steps import steps

_KEYS: Final = ["tenant", "limit"]
_GATED: Final = ("points", "hours", "last_at", "coverage")
_NEVER: Final = pl.DataFrame(
    schema={"tenant": pl.String(), "limit": pl.String(), "changed_at": UTC_TIME}
)


def recommend(  # noqa: PLR0913 - all that a decision follows from
    history: pl.DataFrame,
    *,
    current: pl.DataFrame,
    in_blast: Collection[str],
    coverage: float,
    rules: Rules,
    now: datetime,
    changed: pl.DataFrame | None = None,
    activity: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Decide every limit of every tenant that is measured or has a limit.

    A limit that Mimir leaves unlimited unless somebody sets it is decided where somebody has.

    Args:
        history: HISTORY of the analysis window.
        current: LIMITS that each tenant has now, defaults filled in, without the cap layers: a
            cap is lifted by whoever set it, not outgrown.
        in_blast: tenants whose demand is a blast just now.
        coverage: pods answered / pods known of this run, 0..1.
        rules: buffers, bounds, dead bands.
        now: aware UTC.
        changed: tenant, limit, changed_at: when each limit was last changed by us.
        activity: STATES of the tenants; who is not in it is at work.

    Returns:
        DECISIONS, sorted; `after` is the limit that then holds, so `before` on a hold and on
        a withheld decision, null only where nothing is known.
    """
    rows = _subjects(history, current=current, rules=rules).join(
        _NEVER if changed is None else changed, on=_KEYS, how="left"
    )
    known = pl.DataFrame(schema=STATES) if activity is None else activity
    rows = rows.join(known, on="tenant", how="left")
    judged = partial(outcomes, in_blast=in_blast, coverage=coverage, rules=rules, now=now)
    is_burst = pl.col("limit") == INGESTION_BURST_SIZE

    by_itself = by_peak(rows.filter(~is_burst), rules=rules)
    sized = judged(by_itself.with_columns(rate=pl.lit(None, dtype=pl.Float64)))
    burst = judged(
        by_rate(_follow(rows.filter(is_burst), sized=sized, history=history), rules=rules)
    )
    decided = pl.concat([sized, burst], how="diagonal_relaxed")
    return (
        decided.with_columns(at=pl.lit(now).cast(UTC_TIME), steps=steps(rules=rules))
        .select(DECISIONS.names())
        .cast(DECISIONS)
        .sort(_KEYS)
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


def _subjects(history: pl.DataFrame, *, current: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Every tenant of either side times every limit, with what is known of it."""
    tenants = pl.concat([history.select("tenant"), current.select("tenant")]).unique()
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
        .join(history, on=_KEYS, how="left")
        .join(now_is, on=_KEYS, how="left")
    )
    known = rows.with_columns(before=pl.coalesce("before", assumed))
    return (
        known.filter(~_off(rules))
        .with_columns(
            buffer=1 + pl.coalesce(of_tier, of_limit) / 100,
            peak=pl.when(pl.col("peak").is_finite() & (pl.col("peak") >= 0)).then("peak"),
        )
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


def _follow(burst: pl.DataFrame, *, sized: pl.DataFrame, history: pl.DataFrame) -> pl.DataFrame:
    """Give each burst the rate that will hold, and the rate's own evidence for the gates.

    A burst that follows a rate must pass the gates with it: raised alone, a rate would soon
    exceed its burst.
    """
    rates = sized.filter(limit=INGESTION_RATE).select("tenant", rate="after")
    evidence = history.filter(limit=INGESTION_RATE).select(
        "tenant", *_GATED, rate_pressure="pressure"
    )
    return (
        burst.drop(_GATED)
        .join(rates, on="tenant", how="left")
        .join(evidence, on="tenant", how="left")
        .with_columns(
            rate=pl.coalesce("rate", "rate_before"),
            pressure=pl.max_horizontal("pressure", "rate_pressure"),
        )
    )


def _floats(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}
