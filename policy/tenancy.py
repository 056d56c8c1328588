"""Which tenants we look after, and which tier each belongs to.

Skip wins over include; an empty include list includes everyone. Where tiers decide the scope,
who belongs to none is left alone. A tenant belongs to the first
tier whose pattern matches, in the order of the mapping. Patterns are shell globs, or regular
expressions that must match the whole id.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache

import polars as pl

from policy.errors import ConfigError
from policy.frames import LAYERS, empty
from policy.settings import Settings


@cache
def _matcher(patterns: tuple[str, ...], use_regex: bool, key: str) -> re.Pattern[str]:  # noqa: FBT001 - a cache key
    """One expression that matches any of the patterns.

    Raises:
        ConfigError: a pattern is not a regular expression; names the setting `key`.
    """
    for pattern in patterns if use_regex else ():
        try:
            re.compile(pattern)
        except re.error as exc:
            raise ConfigError(f"{key}: {pattern!r} is not a regular expression: {exc}") from exc
    parts = patterns if use_regex else map(fnmatch.translate, patterns)
    return re.compile("|".join(f"(?:{part})" for part in parts))


def _matching(tenants: pl.Series, matcher: re.Pattern[str]) -> pl.Series:
    """Which of the tenants match as a whole.

    In Python, because polars' expressions have neither look-around nor what `fnmatch` writes.
    """
    return pl.Series(
        [matcher.fullmatch(tenant) is not None for tenant in tenants], dtype=pl.Boolean
    )


def looked_after(tenants: pl.Series, *, settings: Settings) -> pl.Series:
    """The tenants that the settings want looked after, in the order given.

    Args:
        tenants: tenant ids.
        settings: lists of `tenantScoping`, and the tiers where `tierBased.enabled`.
    """
    scoping = settings.tenant_scoping
    if not scoping.enabled:
        return tenants
    kept = in_scope(
        tenants,
        skip=scoping.skip_list,
        include=scoping.include_list,
        use_regex=scoping.use_regex,
    )
    if not scoping.tier_based.enabled:
        return kept
    return kept.filter(tiers(kept, mapping=settings.tenant_tier_mapping)["tier"].is_not_null())


def in_scope(
    tenants: pl.Series, *, skip: Sequence[str], include: Sequence[str], use_regex: bool = False
) -> pl.Series:
    """The tenants that we look after, in the order given.

    Args:
        tenants: tenant ids.
        skip: patterns of tenants that are left alone whatever else matches.
        include: patterns of tenants that are looked after; empty means all.
        use_regex: the patterns are regular expressions, not globs.
    """
    kept = tenants
    if include:
        wanted = _matcher(tuple(include), use_regex, "tenantScoping.includeList")
        kept = kept.filter(_matching(kept, wanted))
    if skip:
        unwanted = _matcher(tuple(skip), use_regex, "tenantScoping.skipList")
        kept = kept.filter(~_matching(kept, unwanted))
    return kept


def tiers(tenants: pl.Series, *, mapping: Mapping[str, str]) -> pl.DataFrame:
    """Columns tenant, tier: the first pattern that matches decides; without a match tier is null.

    Args:
        tenants: tenant ids.
        mapping: glob pattern to tier name, in the order of the settings.
    """
    tier: pl.Expr = pl.lit(None, dtype=pl.String)
    for pattern, name in reversed(list(mapping.items())):
        matches = _matching(tenants, _matcher((pattern,), False, "tenantTierMapping"))
        tier = pl.when(matches).then(pl.lit(name)).otherwise(tier)
    return pl.DataFrame({"tenant": tenants}, schema={"tenant": pl.String()}).with_columns(tier=tier)


def tier_layer(
    members: pl.DataFrame, *, limits: Mapping[str, Mapping[str, float]], written_at: datetime
) -> pl.DataFrame:
    """The `tier` layer: what the settings give the tenants of each tier.

    Args:
        members: columns tenant, tier, as `tiers` returns them.
        limits: limit values by limit name by tier name.
        written_at: when the layer is written.

    Returns:
        Rows of the LAYERS schema.
    """
    given = pl.DataFrame(
        [
            {"tier": tier, "limit": limit, "value": float(value)}
            for tier, values in limits.items()
            for limit, value in values.items()
        ],
        schema={"tier": pl.String(), "limit": pl.String(), "value": pl.Float64()},
    )
    if given.is_empty() or members.is_empty():
        return empty(LAYERS)
    return (
        members.join(given, on="tier")
        .with_columns(
            layer=pl.lit("tier"),
            kind=pl.lit("set"),
            reason=pl.format("tier {}", "tier"),
            evidence=pl.lit("{}"),
            written_at=pl.lit(written_at, dtype=LAYERS["written_at"]),
            expires_at=pl.lit(None, dtype=LAYERS["expires_at"]),
        )
        .select(LAYERS.names())
    )
