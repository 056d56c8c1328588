"""What `mlo rollback` makes sure of before it writes."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

import polars as pl

from policy.document import parse
from policy.errors import ConfigError
from policy.holds import EVERYONE, refuse_unfit
from storage import reading


def said_by(url: str, revision: int) -> pl.DataFrame:
    """LIMITS of the document of a revision that may be held.

    Raises:
        ConfigError: there is none, or Mimir has refused it.
        StorageError: the history cannot be reached.
    """
    kept = reading.kept_document(url, revision)
    if kept is None:
        numbers = reading.revisions(url)["revision"]
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
