"""Plan what the layers say, against what the running Mimir takes."""

from __future__ import annotations

import polars as pl

from flows.in_force import operator_limits, standing_limits
from flows.runtime import Runtime
from policy.catalogue import Catalogue
from policy.document import parse
from policy.errors import ConfigError
from policy.holds import Hold, with_hold
from policy.plan import Plan, Terms, plan, plan_of_nothing
from policy.room import most_bytes
from policy.settings import Settings
from policy.tuned import bounds_of, catalogue_of
from policy.versions import known_to_all
from storage.holds import read_holds
from storage.layers import read_layers
from storage.pauses import withdrawn_now
from storage.revisions import newest_confirmed


def make_plan(runtime: Runtime, settings: Settings, *, stands: pl.DataFrame) -> Plan:
    """What would be published now over `stands` (LIMITS): what the layers say, unless withdrawn."""
    if (withdrawn := withdrawn_now(runtime.database)) is not None:
        return plan_of_nothing(stands, reason=withdrawn)
    layers = read_layers(runtime.database, now=runtime.clock())
    holds = read_holds(runtime.database)
    return planned(runtime, settings, layers=layers, holds=holds, stands=stands)


def refuse_unpublishable(
    runtime: Runtime, settings: Settings, *, word: Hold, said: pl.DataFrame
) -> None:
    """Refuse a hold with which nothing could be published any more.

    Args:
        runtime: what the layers say without it.
        settings: the bounds, and what there is room for.
        word: the hold.
        said: LIMITS of the document of its revision.

    Raises:
        ConfigError: Mimir would refuse the document.
    """
    stands = standing_limits(runtime)
    layers = read_layers(runtime.database, now=runtime.clock())
    holds = read_holds(runtime.database)
    before = planned(runtime, settings, layers=layers, holds=holds, stands=stands).problems
    layers, holds = with_hold(layers, holds, word=word, said=said)
    after = planned(runtime, settings, layers=layers, holds=holds, stands=stands).problems
    if added := [problem for problem in after if problem not in before]:
        raise ConfigError(
            f"with revision {word.revision} nothing could be published any more: {added[0]}"
        )


def planned(
    runtime: Runtime,
    settings: Settings,
    *,
    layers: pl.DataFrame,
    holds: pl.DataFrame,
    stands: pl.DataFrame,
) -> Plan:
    """What these LAYERS and HOLDS would publish over `stands` (LIMITS)."""
    catalogue = catalogue_of(settings.limits)
    return plan(
        layers,
        observed=operator_limits(runtime),
        standing=stands,
        bounds=bounds_of(settings.limits),
        terms=Terms(
            known=_known(runtime, catalogue=catalogue),
            catalogue=catalogue,
            max_bytes=most_bytes(settings.publish),
        ),
        now=runtime.clock(),
        holds=holds,
    )


def _known(runtime: Runtime, *, catalogue: Catalogue) -> frozenset[str]:
    """Names that Mimir takes; after a start, what it was seen to take, until versions are read."""
    versions = runtime.memory.versions
    names = known_to_all(versions, catalogue=catalogue)
    confirmed = None if versions else newest_confirmed(runtime.database)
    return names if confirmed is None else names | {*parse(confirmed.document.encode())["limit"]}
