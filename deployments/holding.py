"""What a rollback makes sure of before it is written, from a command or over HTTP."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from functools import partial

import polars as pl

from deployments.planning import planned
from deployments.standing import standing_limits
from policy.document import parse
from policy.errors import ConfigError
from policy.holds import EVERYONE, Hold, refuse_unfit, with_hold
from policy.plan import Plan
from policy.settings import Settings
from storage import reading
from storage.database import Database


def said_by(where: str | Database, revision: int) -> pl.DataFrame:
    """LIMITS of the document of a revision that may be held.

    Raises:
        ConfigError: there is none, or Mimir has refused it.
        StorageError: the history cannot be reached.
    """
    kept = reading.kept_document(where, revision)
    if kept is None:
        numbers = reading.revisions(where)["revision"]
        newest = f"the newest is {max(numbers)}" if len(numbers) else "nothing was published yet"
        raise ConfigError(f"there is no revision {revision}; {newest}")
    refuse_unfit(revision, outcome=kept.outcome, detail=kept.detail)
    return parse(kept.document)


def refuse_stranger(tenant: str, *, said: pl.DataFrame, known: Collection[str]) -> None:
    """Refuse a tenant of whom neither the revision nor the history knows anything.

    Raises:
        ConfigError: it is one.
    """
    names = {*said["tenant"], *known}
    if tenant == EVERYONE or tenant in names:
        return
    near = get_close_matches(tenant, names, n=1, cutoff=0.5)
    way_out = f"did you mean {near[0]}?" if near else "`mlo tenants` lists all"
    raise ConfigError(f"nothing is known of a tenant {tenant!r}; {way_out}")


def held_plan(settings: Settings, *, word: Hold, said: pl.DataFrame, where: str | Database) -> Plan:
    """What would be published with the hold.

    Args:
        settings: where it is published, and the bounds.
        word: the hold.
        said: LIMITS of the revision that it is of.
        where: the history.

    Raises:
        ConfigError: with it nothing could be published any more.
        StorageError: the history cannot be reached.
    """
    stands, now = standing_limits(settings, where=where), word.since
    layers, holds = reading.layers(where), reading.holds(where)
    plan_of = partial(planned, settings, stands=stands, now=now, where=where)
    before = plan_of(layers=layers, holds=holds).problems
    layers, holds = with_hold(layers, holds, word=word, said=said)
    found = plan_of(layers=layers, holds=holds)
    if added := [problem for problem in found.problems if problem not in before]:
        raise ConfigError(
            f"with revision {word.revision} nothing could be published any more: {added[0]}"
        )
    return found


def of_everyone(where: str | Database, found: pl.DataFrame) -> tuple[Hold, pl.DataFrame] | None:
    """The hold of everyone among these (HOLDS), with its LIMITS; None: there is none."""
    rows = found.filter(pl.col("tenant") == EVERYONE)
    if rows.is_empty():
        return None
    word = Hold(**rows.row(0, named=True))
    kept = reading.kept_document(where, word.revision)
    return None if kept is None else (word, parse(kept.document))
