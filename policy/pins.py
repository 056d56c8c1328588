"""Pins: an operator's word on one limit, and what follows from it.

A pin is an entry of the layer `pin`. It wins over every other layer, within the hard bounds, until
it is taken back or expires; what lies beneath is never changed by it. No pin may stop what is
published for everybody: where it would leave a tenant a burst below its rate, which Mimir's file
must not hold, the one of the two that is not pinned gives way.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from policy.effective import overlaid
from policy.figures import grouped
from policy.frames import COMPOSED, LAYERS, LIMITS, UTC_TIME
from policy.layers import Bounds, compose
from policy.signals import INGESTION_BURST_SIZE, INGESTION_RATE

LAYER: Final = "pin"
LINKED: Final = (INGESTION_RATE, INGESTION_BURST_SIZE)  # no burst may be below its rate

# One row per pin in force. `without` is what the limit would be without it, null when unknown.
PINNED: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "value": pl.Float64(),
        "without": pl.Float64(),
        "reason": pl.String(),
        "by": pl.String(),
        "since": UTC_TIME,
        "until": UTC_TIME,
    }
)

_KEYS: Final = ["tenant", "limit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One pin; `value` is in the limit's unit, `until` None: until it is taken back."""

    tenant: str
    limit: str
    value: float
    reason: str
    by: str
    since: datetime
    until: datetime | None

    def evidence(self) -> str:
        """What the layer keeps beside the reason, as JSON."""
        return json.dumps({"by": self.by}, ensure_ascii=False)

    def as_layer(self) -> pl.DataFrame:
        """LAYERS, one row."""
        row = {
            "tenant": self.tenant,
            "limit": self.limit,
            "layer": LAYER,
            "kind": "set",
            "value": self.value,
            "reason": self.reason,
            "evidence": self.evidence(),
            "written_at": self.since,
            "expires_at": self.until,
        }
        return pl.DataFrame([row], schema=LAYERS)


def pins_of(layers: pl.DataFrame, *, now: datetime) -> pl.DataFrame:
    """LAYERS of the pins among these, without those that have expired."""
    until = pl.col("expires_at")
    return layers.filter((pl.col("layer") == LAYER) & (until.is_null() | (until > now)))


def pinned(rows: pl.DataFrame, pins: pl.DataFrame) -> pl.DataFrame:
    """The rows with what is pinned.

    Args:
        rows: anything with tenant and limit.
        pins: LAYERS of the layer `pin`, see `pins_of`.

    Returns:
        The rows in their order, plus `pinned_value` and `pinned_words`, null where nothing is
        pinned: "pinned to 500,000 by anna: load test, until 2026-11-24 08:00 UTC".
    """
    said = pins.select(*_KEYS, pinned_value="value", pinned_words=_words())
    return rows.join(said, on=_KEYS, how="left", maintain_order="left")


def listed(
    layers: pl.DataFrame, *, beneath: pl.DataFrame, bounds: Bounds, now: datetime
) -> pl.DataFrame:
    """PINNED, by tenant and limit.

    Args:
        layers: LAYERS of every layer.
        beneath: LIMITS, the operator's own values of the limits that are pinned.
        bounds: the hard bounds of what is published.
        now: aware UTC; what has expired is not listed.

    Raises:
        ConfigError: the layers cannot be composed.
    """
    pins = pins_of(layers, now=now)
    others = layers.filter(pl.col("layer") != LAYER).join(pins, on=_KEYS, how="semi")
    composed = compose(others, beneath=beneath, bounds=bounds, now=now)
    without = overlaid(beneath, above=composed.select(LIMITS.names()))
    return (
        pins.select(
            *_KEYS,
            "value",
            "reason",
            by=by(),
            since=pl.col("written_at"),
            until=pl.col("expires_at"),
        )
        .join(without.rename({"value": "without"}), on=_KEYS, how="left")
        .select(PINNED.names())
        .sort(_KEYS)
    )


def by() -> pl.Expr:
    """Who pinned, of rows of LAYERS; null where nobody was named."""
    return pl.col("evidence").str.json_path_match("$.by")


def reconciled(composed: pl.DataFrame, *, own: pl.DataFrame | None = None) -> pl.DataFrame:
    """COMPOSED in which no pin leaves a tenant a burst below its rate.

    Where one of the two is pinned, the other follows it and carries its expiry; where both or
    none are, nothing is changed.

    Args:
        composed: what the layers come to.
        own: LIMITS of the operator, for the other one where no layer decides it; None: not known.
    """
    whole = composed if own is None else pl.concat([composed, _undecided(composed, own=own)])
    rates = whole.filter(limit=INGESTION_RATE)
    bursts = whole.filter(limit=INGESTION_BURST_SIZE)
    pairs = rates.join(bursts, on="tenant", suffix="_burst").filter(
        (pl.col("value_burst") < pl.col("value"))
        & ((pl.col("decided_by") == LAYER) != (pl.col("decided_by_burst") == LAYER))
    )
    burst_follows = pl.col("decided_by") == LAYER
    following = pairs.select(
        "tenant",
        limit=pl.when(burst_follows).then(pl.lit(INGESTION_BURST_SIZE)).otherwise("limit"),
        value=pl.when(burst_follows).then("value").otherwise("value_burst"),
        decided_by=pl.lit(LAYER),
        reason=pl.when(burst_follows)
        .then(pl.format("no less than the pinned {}: {}", "limit", "reason"))
        .otherwise(pl.format("no more than the pinned {}: {}", "limit_burst", "reason_burst")),
        beneath=pl.when(burst_follows).then("beneath_burst").otherwise("beneath"),
        expires_at=pl.when(burst_follows).then("expires_at").otherwise("expires_at_burst"),
    )
    kept = composed.join(following, on=_KEYS, how="anti")
    return pl.concat([kept, following.select(COMPOSED.names()).cast(COMPOSED)]).sort(_KEYS)


def _undecided(composed: pl.DataFrame, *, own: pl.DataFrame) -> pl.DataFrame:
    """COMPOSED of the operator's own rates and bursts, of tenants with a pin on the other one."""
    pinned_ones = composed.filter(pl.col("decided_by") == LAYER)["tenant"].unique()
    linked = pl.col("limit").is_in(LINKED)
    return (
        own.filter(linked & pl.col("tenant").is_in(pinned_ones.implode()))
        .join(composed, on=_KEYS, how="anti")
        .select(
            *_KEYS,
            "value",
            decided_by=pl.lit("defaults"),
            reason=pl.lit(None, dtype=pl.String),
            beneath=pl.col("value"),
            expires_at=pl.lit(None, dtype=UTC_TIME),
        )
    )


def _words() -> pl.Expr:
    until = pl.col("expires_at").dt.to_string("%Y-%m-%d %H:%M UTC")
    return pl.concat_str(
        pl.lit("pinned to "),
        grouped(pl.col("value")),
        pl.lit(" by "),
        by().fill_null("somebody"),
        pl.lit(": "),
        "reason",
        pl.concat_str(pl.lit(", until "), until).fill_null(""),
    )
