"""What may change by itself: the mode and the directions of each tenant and limit.

The settings' rules are looked through in their order and the first one that names the tenant and
the limit decides; what it leaves open, and what no rule names, is as the settings say for all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate
from typing import Final
from zlib import crc32

import polars as pl

from policy.settings.automation import Automation, AutomationRule

MODES: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "mode": pl.String(),
        "directions": pl.String(),
        "mode_reason": pl.String(),
        "first": pl.Boolean(),
    }
)
_HUNDRED: Final = 100


def modes(keys: pl.DataFrame, *, members: pl.DataFrame, automation: Automation) -> pl.DataFrame:
    """The mode of each tenant and limit.

    Args:
        keys: tenant, limit; each pair once.
        members: tenant, tier (null where it has none).
        automation: the settings.

    Returns:
        MODES, in the order of `keys`: `mode` and `directions` as in the settings; `mode_reason`
        the rule's own words, null where it has none; `first` whether the tenant is of the part
        that goes first in mode canary.
    """
    rows = keys.select("tenant", "limit")
    if automation.rules:
        rows = _ruled(rows, members=members, rules=automation.rules)
    else:
        rows = rows.with_columns(
            pl.lit(None, dtype=pl.String).alias(name)
            for name in ("mode", "directions", "mode_reason")
        )
    return (
        rows.with_columns(
            pl.col("mode").fill_null(automation.mode),
            pl.col("directions").fill_null(automation.directions),
        )
        .join(_first(rows, percent=automation.canary.tenants_percent), on="tenant", how="left")
        .select(MODES.names())
        .cast(MODES)
    )


def _ruled(
    rows: pl.DataFrame, *, members: pl.DataFrame, rules: Sequence[AutomationRule]
) -> pl.DataFrame:
    """Mode, directions and reason of the first rule that names the row."""
    tenants = (
        rows.select("tenant")
        .unique()
        .join(members.select("tenant", "tier"), on="tenant", how="left")
    )
    limits = rows.select("limit").unique()
    for place, rule in enumerate(rules):
        tenants = tenants.with_columns(
            (
                _named(tenants["tenant"], patterns=rule.tenants)
                & (pl.lit(not rule.tiers) | pl.col("tier").is_in(list(rule.tiers)))
            ).alias(f"tenant_{place}")
        )
        limits = limits.with_columns(
            _named(limits["limit"], patterns=rule.limits).alias(f"limit_{place}")
        )
    both = rows.join(tenants, on="tenant", how="left").join(limits, on="limit", how="left")

    def said(values: Sequence[str | None]) -> pl.Expr:
        return pl.coalesce(
            pl.when(
                pl.col(f"tenant_{place}").fill_null(value=False) & pl.col(f"limit_{place}")
            ).then(pl.lit(value if value is not None else "", dtype=pl.String))
            for place, value in enumerate(values)
        ).replace({"": None})

    return both.select(
        "tenant",
        "limit",
        said([rule.mode for rule in rules]).alias("mode"),
        said([rule.directions for rule in rules]).alias("directions"),
        said([rule.reason for rule in rules]).alias("mode_reason"),
    )


def _named(names: pl.Series, *, patterns: Sequence[str]) -> pl.Series:
    """Which of the names a list of globs names; an empty list names all."""
    if not patterns:
        return pl.repeat(value=True, n=names.len(), dtype=pl.Boolean, eager=True)
    # In Python: polars' expressions do not have all of what `fnmatch` writes.
    matcher = re.compile("|".join(f"(?:{translate(pattern)})" for pattern in patterns))
    return pl.Series([matcher.fullmatch(name) is not None for name in names], dtype=pl.Boolean)


def _first(rows: pl.DataFrame, *, percent: float) -> pl.DataFrame:
    """Which tenants go first: always the same ones, whoever else there is."""
    tenants = rows.get_column("tenant").unique(maintain_order=True)
    slots = [crc32(tenant.encode()) % _HUNDRED for tenant in tenants]
    return pl.DataFrame(
        {"tenant": tenants, "first": [slot < percent for slot in slots]},
        schema={"tenant": pl.String(), "first": pl.Boolean()},
    )
