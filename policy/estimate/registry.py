"""Find the strategy that the settings name: one of ours, or one that an installed package brings.

A package brings one by an entry point of the group `mimir_limit_optimizer.strategies`, whose
object is a strategy or a class of one. Names of ours cannot be taken over.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Final, cast

from policy.errors import ConfigError
from policy.estimate.strategies import BUILT_IN, Strategy

GROUP: Final = "mimir_limit_optimizer.strategies"


def names() -> list[str]:
    """The names of all strategies there are, sorted."""
    return sorted({*BUILT_IN, *entry_points(group=GROUP).names})


@cache
def strategy(name: str) -> Strategy:
    """The strategy of that name; one that a package brings is loaded once.

    Raises:
        ConfigError: there is none, or it cannot be loaded, or it is not a strategy.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    found = list(entry_points(group=GROUP, name=name))
    if not found:
        raise ConfigError(
            f"trendAnalysis.strategy: there is no strategy {name!r}; use one of "
            f"{', '.join(names())}, or install the package that brings it"
        )
    if len(found) > 1:
        raise ConfigError(
            f"trendAnalysis.strategy: two packages bring a strategy {name!r}; keep one of them"
        )
    try:
        loaded = found[0].load()
        made = loaded() if isinstance(loaded, type) else loaded
    except Exception as fault:
        # It is somebody else's code: whatever it raises, the operator has to know whose it is.
        raise ConfigError(
            f"trendAnalysis.strategy: {name!r} ({found[0].value}) cannot be loaded: {fault}"
        ) from fault
    if not callable(getattr(made, "demand", None)):
        raise ConfigError(
            f"trendAnalysis.strategy: {name!r} ({found[0].value}) is not a strategy: it has no "
            "demand(days, *, rules)"
        )
    return cast("Strategy", made)
