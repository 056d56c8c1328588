"""The cascade of one tenant laid open: every layer, in order, with the value after it.

It retells what `policy.layers.compose` does set-wise, and what follows from a pin, one limit at a
time, for the person who asks why; a test holds the two to the same answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

import polars as pl

from policy.frames import UTC_TIME, empty
from policy.holds import HOLDS, silenced
from policy.holds import LAYER as HOLD
from policy.layers import CAPS, Bounds, bounded, compose, endless_as_infinity, in_force
from policy.layers import published_value as published
from policy.pins import LAYER, reconciled

# One row per voice about a limit, in the order of the cascade. `kind` is set or cap, and also
# "own" (the operator's own value, layer `defaults`) and "bound" (the hard bounds, last);
# `after` is the limit once this voice has spoken; `decides` marks the last word.
STACK: Final = pl.Schema(
    {
        "limit": pl.String(),
        "layer": pl.String(),
        "kind": pl.String(),
        "value": pl.Float64(),
        "after": pl.Float64(),
        "decides": pl.Boolean(),
        "reason": pl.String(),
        "evidence": pl.String(),
        "written_at": UTC_TIME,
        "expires_at": UTC_TIME,
    }
)


def stack(
    tenant: str,
    *,
    layers: pl.DataFrame,
    beneath: pl.DataFrame,
    bounds: Bounds,
    now: datetime,
    holds: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The stack of one tenant.

    Args:
        tenant: its id.
        layers: LAYERS of any tenants.
        beneath: LIMITS of any tenants, the operator's own values.
        bounds: the hard bounds of what is published.
        now: the instant that decides what has expired, aware UTC.
        holds: HOLDS; None is nobody.

    Returns:
        STACK, by limit and place in the cascade.

    Raises:
        ConfigError: the layers of this tenant cannot be composed.
    """
    its = pl.col("tenant") == tenant
    own, said = beneath.filter(its), layers.filter(its)
    held = empty(HOLDS) if holds is None else holds
    whole = compose(said, beneath=own, bounds=bounds, now=now)
    heard = silenced(whole, holds=held, now=now)
    unsaid = whole.join(heard, on=["tenant", "limit"], how="anti")["limit"].to_list()
    composed = reconciled(heard, own=own)

    voices = pl.concat(
        [
            _own_voices(own, bounds=bounds),
            in_force(said, now=now, endless=bounds.endless).drop("tenant", "row"),
        ],
        how="diagonal",
    ).sort("limit", "rank")
    deciders = dict(composed.select("limit", "decided_by").iter_rows())
    by_limit = voices.partition_by("limit", maintain_order=True)
    rows = [
        row
        for group in by_limit
        for row in _told(group.iter_rows(named=True), deciders=deciders, bounds=bounds)
    ]
    rows = _with_followers(rows, composed=composed)
    rows = _with_silence(rows, limits=unsaid, own=own)
    return pl.DataFrame(rows, schema=STACK).with_columns(
        published(pl.col(name)).alias(name) for name in ("value", "after")
    )


def _own_voices(own: pl.DataFrame, *, bounds: Bounds) -> pl.DataFrame:
    return own.select(
        "limit",
        value=endless_as_infinity(pl.col("value"), endless=bounds.endless),
        layer=pl.lit("defaults"),
        kind=pl.lit("own"),
        reason=pl.lit("what the operator's own configuration says"),
        rank=pl.lit(0, dtype=pl.Int32),
    )


def _told(
    voices: Iterable[dict[str, Any]], *, deciders: dict[str, str], bounds: Bounds
) -> list[dict[str, Any]]:
    """The rows of one limit, and a last one where the bounds have the final say."""
    rows: list[dict[str, Any]] = []
    after: float | None = None
    for voice in voices:
        is_cap = voice["layer"] in CAPS and after is not None
        after = min(after, voice["value"]) if is_cap and after is not None else voice["value"]
        decides = deciders.get(voice["limit"], "defaults") == voice["layer"]
        rows.append(
            {name: voice.get(name) for name in STACK} | {"after": after, "decides": decides}
        )

    last = rows[-1]
    held = _held(last["limit"], value=last["after"], bounds=bounds)
    if last["limit"] in deciders and held != last["after"]:
        reason = "the hard bounds of what is published"
        nothing = dict.fromkeys(STACK)
        rows.append(
            nothing
            | {"limit": last["limit"], "layer": "bounds", "kind": "bound", "reason": reason}
            | {"value": held, "after": held, "decides": False}
        )
    return rows


def _with_followers(rows: list[dict[str, Any]], *, composed: pl.DataFrame) -> list[dict[str, Any]]:
    """The rows, and a last one for each limit that follows a pin of another."""
    pinned = {row["limit"] for row in rows if row["layer"] == LAYER}
    following = composed.filter(
        (pl.col("decided_by") == LAYER) & ~pl.col("limit").is_in(list(pinned))
    )
    nothing = dict.fromkeys(STACK)
    added = [
        nothing
        | {"limit": limit, "layer": LAYER, "kind": "set", "reason": reason, "expires_at": until}
        | {"value": value, "after": value, "decides": True}
        for limit, value, reason, until in following.select(
            "limit", "value", "reason", "expires_at"
        ).iter_rows()
    ]
    return sorted([*rows, *added], key=itemgetter("limit"))


def _with_silence(
    rows: list[dict[str, Any]], *, limits: Collection[str], own: pl.DataFrame
) -> list[dict[str, Any]]:
    """The rows, and a last one for each limit of which the revision that is held says nothing."""
    values = dict(own.select("limit", "value").iter_rows())
    reason = "the revision that is held says nothing of it: the operator's own value holds"
    heard = [row | {"decides": row["decides"] and row["limit"] not in limits} for row in rows]
    nothing = dict.fromkeys(STACK)
    silent = [
        nothing
        | {"limit": limit, "layer": HOLD, "kind": "own", "reason": reason, "decides": True}
        | {"value": values.get(limit), "after": values.get(limit)}
        for limit in limits
    ]
    return sorted([*heard, *silent], key=itemgetter("limit"))


def _held(limit: str, *, value: float, bounds: Bounds) -> float:
    row = pl.DataFrame({"limit": [limit], "value": [value]})
    return float(row.select(bounded(pl.col("value"), bounds=bounds)).item())
