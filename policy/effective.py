"""Which limit each tenant has without us: the operator's override, else the cluster's default."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

import polars as pl

from policy.frames import LAYERS, LIMITS, UTC_TIME

EVERYONE: Final = ""  # the tenant under whose name the cluster's defaults are kept


def observed_beneath(
    overrides: pl.DataFrame,
    *,
    published: pl.DataFrame,
    defaults: pl.DataFrame,
    remembered: pl.DataFrame,
    known: Collection[str] | None = None,
) -> pl.DataFrame:
    """LIMITS of the operator: what the cluster says that is not our own echo.

    Of a limit of which the cluster did not tell, what is remembered stays.

    Args:
        overrides: LIMITS that Mimir has loaded, ours among them.
        published: LIMITS that we published; of these Mimir's word is our own.
        defaults: LIMITS of the tenant EVERYONE, the defaults of the cluster.
        remembered: LIMITS of the operator as seen before we spoke over them.
        known: the limits of which the overrides were told; None is all of them.
    """
    ours = published.select("tenant", "limit").unique()
    foreign = overrides.join(ours, on=["tenant", "limit"], how="anti")
    hidden = remembered.join(ours, on=["tenant", "limit"], how="semi")
    if known is None:
        return pl.concat(part.select(LIMITS.names()) for part in (foreign, hidden, defaults))
    untold = remembered.join(ours, on=["tenant", "limit"], how="anti").filter(
        pl.when(pl.col("tenant") == EVERYONE)
        .then(~pl.col("limit").is_in(defaults["limit"].implode()))
        .otherwise(~pl.col("limit").is_in(list(known)))
    )
    return pl.concat(part.select(LIMITS.names()) for part in (foreign, hidden, untold, defaults))


def beneath(
    observed: pl.DataFrame, *, tenants: Collection[str] | pl.Series, limits: Sequence[str]
) -> pl.DataFrame:
    """LIMITS of each tenant and limit without us; a limit of which nothing is known has no row.

    Args:
        observed: LIMITS as stored, the defaults under the tenant EVERYONE.
        tenants: the tenants to answer for.
        limits: the limits to answer for.
    """
    pairs = pl.DataFrame(
        {"tenant": pl.Series(tenants, dtype=pl.String).unique(maintain_order=True)}
    ).join(pl.DataFrame({"limit": list(limits)}, schema={"limit": pl.String()}), how="cross")
    defaults = observed.filter(pl.col("tenant") == EVERYONE).select("limit", default="value")
    return (
        pairs.join(observed, on=["tenant", "limit"], how="left")
        .join(defaults, on="limit", how="left")
        .with_columns(value=pl.coalesce("value", "default"))
        .drop_nulls("value")
        .select(LIMITS.names())
    )


def overlaid(base: pl.DataFrame, *, above: pl.DataFrame) -> pl.DataFrame:
    """LIMITS of `base` with the rows of `above` in the place of theirs."""
    kept = base.join(above, on=["tenant", "limit"], how="anti")
    return pl.concat([kept.select(LIMITS.names()), above.select(LIMITS.names())])


def as_optimized(limits: pl.DataFrame, *, reason: str, written_at: datetime) -> pl.DataFrame:
    """LAYERS of the layer `optimized` that say these LIMITS, as if they had been decided."""
    return limits.select(
        "tenant",
        "limit",
        "value",
        layer=pl.lit("optimized"),
        kind=pl.lit("set"),
        reason=pl.lit(reason),
        evidence=pl.lit("[]"),
        written_at=pl.lit(written_at).cast(UTC_TIME),
        expires_at=pl.lit(None, dtype=UTC_TIME),
    ).select(LAYERS.names())
