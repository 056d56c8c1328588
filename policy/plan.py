"""What would be published now: the layers composed, and how that differs from what stands.

A plan is a pure function of the layers and of what was observed: the same layers give the same
bytes. What would say to Mimir only what it says already is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from policy.catalogue import Catalogue
from policy.changes import changes
from policy.document import render
from policy.effective import beneath
from policy.frames import COMPOSED, LIMITS, empty
from policy.holds import HOLDS, silenced, unsaid_by_holds
from policy.layers import Bounds, compose
from policy.pins import LINKED, reconciled
from policy.validate import validate


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What Mimir and the place of its document take.

    Attributes:
        known: names of the limits that the oldest running Mimir knows.
        catalogue: the limits and their types; None for the built-in ones.
        max_bytes: the largest document that there is room for; None: any.
    """

    known: frozenset[str]
    catalogue: Catalogue | None = None
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """A document to publish.

    Attributes:
        composed: COMPOSED, what the document says.
        document: its bytes.
        changes: CHANGES of limits as Mimir would see them; empty when there is nothing to say.
        problems: why it must not be published, one line each.
    """

    composed: pl.DataFrame
    document: bytes
    changes: pl.DataFrame
    problems: tuple[str, ...]


def plan(
    layers: pl.DataFrame,
    *,
    observed: pl.DataFrame,
    standing: pl.DataFrame,
    bounds: Bounds,
    terms: Terms,
    now: datetime,
    holds: pl.DataFrame | None = None,
) -> Plan:
    """Compose the layers and compare them with what stands.

    Args:
        layers: LAYERS of all flows.
        observed: LIMITS of the operator, with the cluster's defaults under the tenant ''.
        standing: LIMITS of the document that we published last; empty when there is none.
        bounds: the hard bounds.
        terms: what may be published at all.
        now: aware UTC; expired layers are left out.
        holds: HOLDS; None is nobody.
    """
    holds = empty(HOLDS) if holds is None else holds
    said = {*layers["limit"], *LINKED}
    own = beneath(observed, tenants=layers["tenant"], limits=sorted(said))
    composed = _worth_saying(
        reconciled(
            silenced(compose(layers, beneath=own, bounds=bounds, now=now), holds=holds, now=now),
            own=own,
        ),
        standing=standing,
    )
    differences = changes(standing, after=composed)
    return Plan(
        composed=composed,
        document=render(composed),
        changes=unsaid_by_holds(_as_seen_by_mimir(differences, own=own), holds=holds, now=now),
        problems=tuple(
            validate(
                composed,
                known=terms.known,
                catalogue=terms.catalogue,
                max_bytes=terms.max_bytes,
            )
        ),
    )


def plan_of_nothing(standing: pl.DataFrame, *, reason: str) -> Plan:
    """Say no limit at all, whatever the layers say.

    Args:
        standing: LIMITS of the document that we published last.
        reason: why; each change says it.
    """
    nothing = empty(COMPOSED)
    return Plan(
        composed=nothing,
        document=render(nothing),
        changes=changes(standing, after=nothing).with_columns(reason=pl.lit(reason)),
        problems=(),
    )


def _worth_saying(composed: pl.DataFrame, *, standing: pl.DataFrame) -> pl.DataFrame:
    """Leave out what equals the operator's own value, unless we have said it before."""
    told = standing.select("tenant", "limit", told=pl.lit(value=True))
    return (
        composed.join(told, on=["tenant", "limit"], how="left", maintain_order="left")
        .filter(pl.col("value").ne_missing(pl.col("beneath")) | pl.col("told").is_not_null())
        .drop("told")
    )


def _as_seen_by_mimir(differences: pl.DataFrame, *, own: pl.DataFrame) -> pl.DataFrame:
    """Where our document is silent, before or after, Mimir sees the operator's own value."""
    return (
        differences.join(
            own.select(*LIMITS.names()[:2], own="value"),
            on=["tenant", "limit"],
            how="left",
            maintain_order="left",
        )
        .with_columns(pl.coalesce("before", "own").alias("before"))
        .drop("own")
    )
