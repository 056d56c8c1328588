"""Whose tenant is whose: by name or pattern, the first team that matches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from policy.tenancy import tiers

_PATTERN: Final = frozenset("*?[")
UNATTRIBUTED: Final = "unattributed"
TEAMS: Final = pl.Schema({"tenant": pl.String(), "team": pl.String()})


def teams_of(tenants: pl.Series, *, patterns: Mapping[str, tuple[str, ...]]) -> pl.DataFrame:
    """TEAMS of the tenants; one that no pattern matches has no row.

    Args:
        tenants: their names.
        patterns: of each team, names and patterns of its tenants. An exact name wins over a
            pattern; of two teams that match, the one that is written first.
    """
    by_pattern: dict[str, str] = {}
    for team, names in patterns.items():
        for name in names:
            by_pattern.setdefault(name, team)
    exact = {name: team for name, team in by_pattern.items() if not _PATTERN.intersection(name)}
    found = tiers(tenants.unique().sort(), mapping=exact | by_pattern)
    return found.drop_nulls("tier").select("tenant", team="tier").cast(TEAMS)
