"""Compose the layers into the limits that are published: the cascade.

    defaults → tier → optimized → budget → breaker → emergency → hold → pin

`tier` and `optimized` set a value, `budget`, `breaker` and `emergency` only cap it, and `hold` and
`pin`, an operator's words, win over all but the hard bounds. A cap never raises, and lifting it
gives back exactly what lay beneath. What no layer changes is not published: it stays the
operator's. Where Mimir reads 0 as "unlimited", 0 is infinity here, so a cap applies below it. A cap
over an unknown value, with nothing set, is itself published. Two words of one layer about one limit
are refused rather than chosen from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import polars as pl

from policy.catalogue import unlimited_at_zero
from policy.errors import ConfigError
from policy.figures import grouped
from policy.frames import COMPOSED, LAYERS

CASCADE: Final = (
    "defaults",
    "tier",
    "optimized",
    "budget",
    "breaker",
    "emergency",
    "hold",
    "pin",
)
KINDS: Final = {
    "tier": "set",
    "optimized": "set",
    "budget": "cap",
    "breaker": "cap",
    "emergency": "cap",
    "hold": "set",
    "pin": "set",
}
SETS: Final = ("tier", "optimized")
CAPS: Final = ("budget", "breaker", "emergency")
LAST_WORDS: Final = ("hold", "pin")

_KEYS: Final = ("tenant", "limit")
_INFINITY: Final = float("inf")
_RANKS: Final = {layer: rank for rank, layer in enumerate(CASCADE)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The hard bounds of the values we publish: limit -> value, in the limit's unit.

    A maximum of 0 bounds nothing where 0 means unlimited, which is so for the `endless` limits.
    """

    minimum: Mapping[str, float] = field(default_factory=dict)
    maximum: Mapping[str, float] = field(default_factory=dict)
    endless: frozenset[str] = field(default_factory=unlimited_at_zero)


def compose(
    layers: pl.DataFrame, *, beneath: pl.DataFrame, bounds: Bounds, now: datetime
) -> pl.DataFrame:
    """The value of every limit that a layer decides.

    Args:
        layers: LAYERS; expired rows are ignored.
        beneath: LIMITS, the operator's own effective values, without anything of ours.
        bounds: hard bounds of whatever is published.
        now: the instant that decides what has expired, aware UTC.

    Returns:
        COMPOSED, sorted by tenant and limit, without the rows that `defaults` decides.

    Raises:
        ConfigError: an unknown layer, a wrong kind, a value that is no number, or two rows of
            one layer about one tenant and limit.
    """
    words = in_force(layers, now=now, endless=bounds.endless)
    rows = _decided(words).join(
        beneath.select(
            *_KEYS, beneath=endless_as_infinity(pl.col("value"), endless=bounds.endless)
        ),
        on=_KEYS,
        how="left",
    )

    said = pl.coalesce("set_value", "beneath")
    capped = pl.min_horizontal(said, "cap_value")
    winner = (
        pl.when(pl.col("last_row").is_not_null())
        .then("last_row")
        .when((pl.col("cap_value") < said) | said.is_null())
        .then("cap_row")
        .otherwise("set_row")
    )
    rows = rows.with_columns(
        unbounded=pl.coalesce("last_value", capped),
        row=winner,
        only_caps=pl.col("last_row").is_null() & pl.col("set_row").is_null(),
    ).with_columns(value=bounded(pl.col("unbounded"), bounds=bounds))

    # A cap that does not bite, or that the bounds lift to what is there anyway, says nothing.
    changes_nothing = pl.col("only_caps") & (
        (pl.col("value") >= pl.col("beneath")) | pl.col("value").is_infinite()
    )
    rows = rows.filter(~changes_nothing.fill_null(value=False) & pl.col("row").is_not_null())
    return _composed(rows, words=words)


def in_force(layers: pl.DataFrame, *, now: datetime, endless: frozenset[str]) -> pl.DataFrame:
    """The rows that have not expired, checked, 0 turned to infinity for the endless limits.

    Returns:
        LAYERS plus `row` (UInt32, its own number) and `rank` (its place in the cascade).

    Raises:
        ConfigError: see `compose`.
    """
    current = layers.select(LAYERS.names()).filter(
        pl.col("expires_at").is_null() | (pl.col("expires_at") > now)
    )
    _refuse_wrong(current)
    return current.with_columns(
        rank=pl.col("layer").replace_strict(_RANKS, return_dtype=pl.Int32),
        value=endless_as_infinity(pl.col("value"), endless=endless),
    ).with_row_index("row")


def bounded(value: pl.Expr, *, bounds: Bounds) -> pl.Expr:
    """A value within the bounds of its row's limit; the maximum wins over the minimum."""
    return pl.min_horizontal(pl.max_horizontal(value, _bound(bounds.minimum)), _ceiling(bounds))


def endless_as_infinity(value: pl.Expr, *, endless: frozenset[str]) -> pl.Expr:
    """A value of its row's limit, infinite where 0 stands for that."""
    is_endless = pl.col("limit").is_in(list(endless)) & (value == 0)
    return pl.when(is_endless).then(_INFINITY).otherwise(value)


def published_value(value: pl.Expr) -> pl.Expr:
    """Infinity as Mimir writes it: 0, which only limits that read it so can hold here."""
    return pl.when(value.is_infinite()).then(0.0).otherwise(value)


def _bound(values: Mapping[str, float]) -> pl.Expr:
    exact = {limit: float(value) for limit, value in values.items()}
    return pl.col("limit").replace_strict(exact, default=None, return_dtype=pl.Float64)


def _ceiling(bounds: Bounds) -> pl.Expr:
    return _bound(
        {
            limit: value
            for limit, value in bounds.maximum.items()
            if value != 0 or limit not in bounds.endless
        }
    )


def _decided(words: pl.DataFrame) -> pl.DataFrame:
    """One row per tenant and limit: the last set, the lowest cap, the last word, by row number.

    Of equal caps the first in the cascade is named: the later one changed nothing.
    """
    is_set = pl.col("layer").is_in(SETS)
    is_cap = pl.col("layer").is_in(CAPS)
    is_last = pl.col("layer").is_in(LAST_WORDS)
    strictest_first = ["value", "rank"]
    return words.group_by(_KEYS).agg(
        set_value=pl.col("value").filter(is_set).sort_by(pl.col("rank").filter(is_set)).last(),
        set_row=pl.col("row").filter(is_set).sort_by(pl.col("rank").filter(is_set)).last(),
        cap_value=pl.col("value").filter(is_cap).min(),
        cap_row=pl.col("row")
        .filter(is_cap)
        .sort_by(*(pl.col(name).filter(is_cap) for name in strictest_first))
        .first(),
        last_value=pl.col("value").filter(is_last).sort_by(pl.col("rank").filter(is_last)).last(),
        last_row=pl.col("row").filter(is_last).sort_by(pl.col("rank").filter(is_last)).last(),
    )


def _composed(rows: pl.DataFrame, *, words: pl.DataFrame) -> pl.DataFrame:
    reasons = words.select("row", "reason", "expires_at", decided_by="layer")
    value, unbounded = pl.col("value"), pl.col("unbounded")
    held = pl.concat_str(
        pl.col("reason").fill_null(""),
        pl.when(value < unbounded)
        .then(pl.lit(" (held to the maximum of "))
        .otherwise(pl.lit(" (lifted to the minimum of ")),
        grouped(value),
        pl.lit(")"),
    )
    return (
        rows.join(reasons, on="row", how="left")
        .with_columns(
            reason=pl.when(value == unbounded).then("reason").otherwise(held),
            value=published_value(value),
            beneath=published_value(pl.col("beneath")),
        )
        .select(COMPOSED.names())
        .cast(COMPOSED)
        .sort(_KEYS)
    )


def _refuse_wrong(words: pl.DataFrame) -> None:
    kind = pl.col("layer").replace_strict(KINDS, default=None, return_dtype=pl.String)
    wrong = words.filter(
        kind.is_null()
        | (pl.col("kind") != kind).fill_null(value=True)
        | pl.col("value").is_finite().not_().fill_null(value=True)
    )
    if not wrong.is_empty():
        row = wrong.row(0, named=True)
        raise ConfigError(
            f"layer entry of {row['tenant']} for {row['limit']}: layer {row['layer']!r}, kind "
            f"{row['kind']!r}, value {row['value']} cannot be composed; layers are "
            f"{', '.join(f'{layer} ({kind})' for layer, kind in KINDS.items())}, values finite"
        )

    twice = words.filter(pl.struct(*_KEYS, "layer").is_duplicated())
    if not twice.is_empty():
        row = twice.row(0, named=True)
        raise ConfigError(
            f"layer {row['layer']} says two things about {row['limit']} of {row['tenant']}; "
            "remove all but one of its entries"
        )
