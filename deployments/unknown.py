"""Refuse a name that nobody knows, and name the nearest that is known."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from policy.errors import ConfigError


def refuse_unknown_limit(limit: str, *, known: Collection[str]) -> None:
    """Refuse a limit that nobody knows, and name the nearest.

    Raises:
        ConfigError: it is none.
    """
    if limit in known:
        return
    near = get_close_matches(limit, known, n=1, cutoff=0.5)
    way_out = f"did you mean {near[0]}?" if near else "`mlo limits` lists all"
    raise ConfigError(f"nothing is known of a limit {limit!r}; {way_out}")


def refuse_unknown(tenant: str, *, known: Collection[str]) -> None:
    """Refuse a tenant of which nothing is known, and name the nearest that are.

    Raises:
        ConfigError: nothing is known of it.
    """
    if tenant in known:
        return
    near = get_close_matches(tenant, known, n=3, cutoff=0.5)
    way_out = f"did you mean {' or '.join(near)}?" if near else "`mlo tenants` lists all"
    raise ConfigError(f"nothing is known of a tenant {tenant!r}; {way_out}")
