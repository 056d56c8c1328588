"""Holds: the limits of a tenant, or of everyone, as an earlier revision said them.

A hold is what a rollback leaves behind: until it is released or ends, whatever else is decided
waits. It is a layer beneath the pins, within the hard bounds; and what the revision did not say is
not said for whom is held, so that the operator's own value is in force there again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from policy.errors import ConfigError
from policy.frames import LAYERS, UTC_TIME
from policy.pins import LAYER as PIN
from policy.pins import pins_of

LAYER: Final = "hold"
EVERYONE: Final = ""  # the tenant under whose name a hold of all is kept

# Who is held at which revision, by whom and why; `until` null: until it is released.
HOLDS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "revision": pl.Int64(),
        "since": UTC_TIME,
        "by": pl.String(),
        "reason": pl.String(),
        "until": UTC_TIME,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One hold; `tenant` is EVERYONE for all, `until` None: until it is released."""

    tenant: str
    revision: int
    reason: str
    by: str
    since: datetime
    until: datetime | None


def held_layer(hold: Hold, *, said: pl.DataFrame) -> pl.DataFrame:
    """LAYERS of the hold.

    Args:
        hold: whose limits, and why.
        said: LIMITS of the revision's document.
    """
    its = said if hold.tenant == EVERYONE else said.filter(pl.col("tenant") == hold.tenant)
    return its.select(
        "tenant",
        "limit",
        "value",
        layer=pl.lit(LAYER),
        kind=pl.lit("set"),
        reason=pl.lit(f"held at revision {hold.revision}: {hold.reason}"),
        evidence=pl.lit(json.dumps({"by": hold.by}, ensure_ascii=False)),
        written_at=pl.lit(hold.since).cast(UTC_TIME),
        expires_at=pl.lit(hold.until, dtype=UTC_TIME),
    ).select(LAYERS.names())


def in_force(holds: pl.DataFrame, *, now: datetime) -> pl.DataFrame:
    """The HOLDS that have not ended."""
    return holds.filter(pl.col("until").is_null() | (pl.col("until") > now))


def silenced(composed: pl.DataFrame, *, holds: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """COMPOSED without what a held revision did not say of whom is held; pins are still said.

    Args:
        composed: what the layers come to.
        holds: HOLDS.
        now: aware UTC.
    """
    held = in_force(holds, now=now)["tenant"]
    if held.is_empty():
        return composed
    everyone = EVERYONE in held
    is_held = pl.lit(value=True) if everyone else pl.col("tenant").is_in(held.implode())
    return composed.filter(~is_held | pl.col("decided_by").is_in([LAYER, PIN]))


def unsaid_by_holds(
    differences: pl.DataFrame, *, holds: pl.DataFrame, now: datetime
) -> pl.DataFrame:
    """CHANGES in which a limit that goes because of a hold says so.

    Args:
        differences: CHANGES.
        holds: HOLDS.
        now: aware UTC.
    """
    held = in_force(holds, now=now)
    if held.is_empty():
        return differences
    words = pl.format("held at revision {}, which says nothing of it: {}", "revision", "reason")
    by_tenant = held.select("tenant", held=words)
    of_all = by_tenant.filter(pl.col("tenant") == EVERYONE)["held"]
    told = pl.coalesce("held", pl.lit(of_all[0] if len(of_all) else None, dtype=pl.String))
    goes = pl.col("after").is_null() & told.is_not_null()
    return (
        differences.join(by_tenant, on="tenant", how="left", maintain_order="left")
        .with_columns(
            reason=pl.when(goes).then(told).otherwise("reason"),
            decided_by=pl.when(goes).then(pl.lit(LAYER)).otherwise("decided_by"),
        )
        .select(differences.columns)
    )


def silent_layer(
    holds: pl.DataFrame, *, own: pl.DataFrame, spoken: pl.DataFrame, now: datetime
) -> pl.DataFrame:
    """LAYERS of the limits of which a held revision says nothing: the operator's own are in force.

    Args:
        holds: HOLDS.
        own: LIMITS of the operator, of all tenants and limits that are asked for.
        spoken: LAYERS of the pins and holds that say something.
        now: aware UTC.
    """
    held = in_force(holds, now=now)
    by_tenant = held.filter(pl.col("tenant") != EVERYONE).select("tenant", "revision", "by")
    rows = own.join(by_tenant, on="tenant", how="left").join(
        spoken, on=["tenant", "limit"], how="anti"
    )
    of_all = held.filter(pl.col("tenant") == EVERYONE)
    if not of_all.is_empty():
        rows = rows.with_columns(
            pl.col("revision").fill_null(of_all["revision"][0]),
            pl.col("by").fill_null(of_all["by"][0]),
        )
    return (
        rows.drop_nulls("revision")
        .select(
            "tenant",
            "limit",
            "value",
            layer=pl.lit(LAYER),
            kind=pl.lit("set"),
            reason=pl.format("held at revision {}, which says nothing of it", "revision"),
            evidence=pl.struct("by").struct.json_encode(),
            written_at=pl.lit(now).cast(UTC_TIME),
            expires_at=pl.lit(None, dtype=UTC_TIME),
        )
        .select(LAYERS.names())
        .cast(LAYERS)
    )


def overruling(layers: pl.DataFrame, *, now: datetime) -> pl.DataFrame:
    """LAYERS of an operator's words that overrule what is decided: pins, and holds beneath them."""
    pins = pins_of(layers, now=now)
    held = layers.filter(
        (pl.col("layer") == LAYER) & (pl.col("expires_at").is_null() | (pl.col("expires_at") > now))
    )
    return pl.concat([pins, held.join(pins, on=["tenant", "limit"], how="anti")])


def with_hold(
    layers: pl.DataFrame, holds: pl.DataFrame, *, word: Hold, said: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """LAYERS and HOLDS once the hold has replaced what its tenant was held at.

    Args:
        layers: LAYERS without it.
        holds: HOLDS without it.
        word: the hold.
        said: LIMITS of the document of its revision.
    """
    is_its = pl.lit(value=True) if word.tenant == EVERYONE else pl.col("tenant") == word.tenant
    others = layers.filter(~(is_its & (pl.col("layer") == LAYER)))
    row = {
        "tenant": word.tenant,
        "revision": word.revision,
        "since": word.since,
        "by": word.by,
        "reason": word.reason,
        "until": word.until,
    }
    return (
        pl.concat([others, held_layer(word, said=said)]),
        pl.concat([holds.filter(~is_its), pl.DataFrame([row], schema=HOLDS)]),
    )


def refuse_unfit(revision: int, *, outcome: str, detail: str | None) -> None:
    """Refuse a revision that Mimir has refused, or that was never there.

    Raises:
        ConfigError: it is one.
    """
    if outcome in {"failed", "reverted"}:
        raise ConfigError(
            f"revision {revision} cannot be held, it {outcome}: {detail or 'no detail'}; choose a "
            "confirmed one, `mlo history` lists them"
        )
