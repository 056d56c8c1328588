"""Which limits are in force, by several sources that each know a part; and where they disagree.

A source says what it was told and no more. Where a source leaves out what equals the default, an
absent override means its default; elsewhere absent means unknown, and nothing is inferred. Values
are kept as they were told: 0, negative and fractional ones too. None is ever scaled here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import polars as pl

from policy.catalogue import integers
from policy.effective import EVERYONE
from policy.frames import LIMITS, empty


class Source(StrEnum):
    """Where limits are read, by the words for a person."""

    RUNTIME_CONFIG = "/runtime_config"
    USER_LIMITS = "/api/v1/user_limits"
    EXPORTER = "overrides-exporter"
    DOCUMENT = "our own document"


# The limits in force and the source that was believed.
EFFECTIVE: Final = pl.Schema({**LIMITS, "source": pl.String()})

# Two sources that say different things of one limit; the tenant '' is the default.
DISAGREEMENTS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "source_a": pl.String(),
        "value_a": pl.Float64(),
        "source_b": pl.String(),
        "value_b": pl.Float64(),
        "cause": pl.String(),
    }
)

OTHER_DEFAULTS: Final = "the components run with different default flags"
NOT_LOADED: Final = "not reloaded yet, or our file is not the last that Mimir reads"
NOT_RELOADED: Final = "one of them has not reloaded yet: an override is not there"
TWO_VALUES: Final = "one of them has not reloaded yet: both have an override"

# Mimir rounds these up to a power of two when it loads them.
_POWERS_OF_TWO: Final = frozenset(
    {
        "query_sharding_total_shards",
        "compactor_split_and_merge_shards",
        "compactor_ooo_split_and_merge_shards",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """What one source tells.

    Attributes:
        source: which one.
        limits: LIMITS of tenants, as told.
        defaults: LIMITS of the tenant EVERYONE; empty where the source does not tell them.
        omits_defaults: a tenant without a row of a limit has the source's default of it.
    """

    source: Source
    limits: pl.DataFrame
    defaults: pl.DataFrame
    omits_defaults: bool

    def about(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """What the source says of these pairs of tenant and limit.

        Returns:
            tenant, limit, value, said (false where the default stands for an absent override);
            a pair of which the source knows nothing has no row.
        """
        said = pl.concat([self.limits, self.defaults]).select(LIMITS.names())
        default = self.defaults if self.omits_defaults else empty(LIMITS)
        return (
            pairs.select("tenant", "limit")
            .join(said, on=["tenant", "limit"], how="left")
            .join(default.select("limit", default="value"), on="limit", how="left")
            .with_columns(value=pl.coalesce("value", "default"), said=pl.col("value").is_not_null())
            .drop_nulls("value")
            .select("tenant", "limit", "value", "said")
        )


def told_by_us(limits: pl.DataFrame) -> Told:
    """LIMITS of our own document as a source: of what it leaves out it knows nothing."""
    return Told(source=Source.DOCUMENT, limits=limits, defaults=empty(LIMITS), omits_defaults=False)


def effective(told: Sequence[Told], pairs: pl.DataFrame) -> pl.DataFrame:
    """The limits in force, each by the first of the sources that knows it.

    Args:
        told: the sources, the most trusted first.
        pairs: tenant and limit, those to answer for; none twice.

    Returns:
        EFFECTIVE; a pair that no source knows has no row.
    """
    unanswered = pairs.select("tenant", "limit")
    parts = [empty(EFFECTIVE)]
    for one in told:
        known = one.about(unanswered)
        parts.append(known.with_columns(source=pl.lit(str(one.source))).select(EFFECTIVE.names()))
        unanswered = unanswered.join(known, on=["tenant", "limit"], how="anti")
    return pl.concat(parts).sort("tenant", "limit")


def disagreements(told: Sequence[Told]) -> pl.DataFrame:
    """Where a source says something else than the most trusted one that knows the limit.

    Asked of every pair that any source names, defaults included. What Mimir makes of a value when
    it loads it, such as the next power of two, is no disagreement.

    Args:
        told: the sources, the most trusted first.

    Returns:
        DISAGREEMENTS, sorted by tenant and limit; `source_a` is the one to believe.
    """
    if not told:
        return empty(DISAGREEMENTS)
    named = _named(told)
    answers = [
        one.about(named).with_columns(rank=pl.lit(rank), source=pl.lit(str(one.source)))
        for rank, one in enumerate(told)
    ]
    both = pl.concat(answers).sort("tenant", "limit", "rank")
    first = pl.col("rank") == pl.col("rank").min().over("tenant", "limit")
    believed = both.filter(first).select(
        "tenant", "limit", source_a="source", value_a="value", said_a="said"
    )
    others = both.filter(~first).select(
        "tenant", "limit", "rank", source_b="source", value_b="value", said_b="said"
    )
    return (
        others.join(believed, on=["tenant", "limit"])
        .filter(_as_loaded("value_a").ne_missing(_as_loaded("value_b")))
        .with_columns(cause=_cause())
        .sort("tenant", "limit", "rank")
        .select(DISAGREEMENTS.names())
    )


def overridden(told: Sequence[Told]) -> pl.DataFrame:
    """LIMITS of tenants where they differ from the default, or where that is not known.

    Args:
        told: the sources, the most trusted first.
    """
    pairs = _named(told).filter(pl.col("tenant") != EVERYONE)
    default = defaults_told(told).select("limit", default="value")
    return (
        effective(told, pairs)
        .join(default, on="limit", how="left")
        .filter(pl.col("value").ne_missing(pl.col("default")))
        .select(LIMITS.names())
    )


def defaults_told(told: Sequence[Told]) -> pl.DataFrame:
    """LIMITS of the tenant EVERYONE, by the first source that tells each."""
    pairs = _named(told).filter(pl.col("tenant") == EVERYONE)
    return effective(told, pairs).select(LIMITS.names())


def names_told(told: Sequence[Told]) -> frozenset[str] | None:
    """The limits of which the overrides are known; None is all, by `/runtime_config`."""
    if any(one.source is Source.RUNTIME_CONFIG and one.omits_defaults for one in told):
        return None
    live = [one for one in told if one.source is not Source.RUNTIME_CONFIG]
    return frozenset(_named(live)["limit"])


def _named(told: Sequence[Told]) -> pl.DataFrame:
    """Columns tenant, limit: the pairs that any of the sources names."""
    frames = [frame for one in told for frame in (one.limits, one.defaults)]
    pairs = [frame.select("tenant", "limit") for frame in frames]
    return pl.concat([empty(LIMITS).select("tenant", "limit"), *pairs]).unique()


def _as_loaded(column: str) -> pl.Expr:
    """The value as Mimir holds it: whole numbers cut off, some raised to a power of two."""
    value, limit = pl.col(column), pl.col("limit")
    sign = pl.when(value < 0).then(-1.0).otherwise(1.0)
    whole = pl.when(limit.is_in(list(integers()))).then(value.abs().floor() * sign).otherwise(value)
    power = pl.lit(2.0).pow(whole.log(2).round(9).ceil())
    return pl.when(limit.is_in(list(_POWERS_OF_TWO)) & (whole > 1)).then(power).otherwise(whole)


def _cause() -> pl.Expr:
    """The likely reason, the most certain first."""
    ours = pl.lit(str(Source.DOCUMENT))
    by_api = pl.lit(str(Source.USER_LIMITS))
    of_api = (pl.col("source_a") == by_api) | (pl.col("source_b") == by_api)
    unsaid = ~(pl.col("said_a") & pl.col("said_b"))
    return (
        pl.when(pl.col("tenant") == EVERYONE)
        .then(pl.lit(OTHER_DEFAULTS))
        .when((pl.col("source_a") == ours) | (pl.col("source_b") == ours))
        .then(pl.lit(NOT_LOADED))
        # This source does not tell an override from a default.
        .when(unsaid & of_api)
        .then(pl.lit(f"{NOT_RELOADED}; or {OTHER_DEFAULTS}"))
        .when(unsaid)
        .then(pl.lit(NOT_RELOADED))
        .otherwise(pl.lit(TWO_VALUES))
    )
