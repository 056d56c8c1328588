"""Drift: what somebody else has changed in the document that we published."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from policy.changes import changes
from policy.figures import figure
from policy.frames import CHANGES
from policy.pins import Pin

SHOWN: Final = 3  # limits that a sentence lists before it says "and more"


def drifted(published: pl.DataFrame, *, found: pl.DataFrame) -> pl.DataFrame:
    """CHANGES from what we published (LIMITS) to what stands there (LIMITS)."""
    return changes(published, after=found)


def words(differing: pl.DataFrame) -> str:
    """`2 limits: ingestion_rate of a 10,000 → 9, max_global_series_per_user of b 5 → gone`."""
    listed = [
        f"{limit} of {tenant} {_was(before)} → {_is(after)}"
        for tenant, limit, before, after in differing.select("tenant", "limit", "before", "after")
        .head(SHOWN)
        .iter_rows()
    ]
    count = differing.height
    more = " and more" if count > SHOWN else ""
    return f"{count} limit{'' if count == 1 else 's'}: {', '.join(listed)}{more}"


def as_pins(
    differing: pl.DataFrame, *, beneath: pl.DataFrame, where: str, now: datetime
) -> list[Pin]:
    """The pins that keep what somebody wrote there.

    What they took out is kept by a pin to the operator's own value beneath it; where that is not
    known there is none.

    Args:
        differing: CHANGES, see `drifted`.
        beneath: LIMITS of the operator's own values.
        where: the sink, for people.
        now: aware UTC.
    """
    own = beneath.select("tenant", "limit", own="value")
    kept = differing.select(CHANGES.names()).join(own, on=["tenant", "limit"], how="left")
    valued = kept.with_columns(value=pl.coalesce("after", "own")).drop_nulls("value")
    return [
        Pin(
            tenant=tenant,
            limit=limit,
            value=value,
            reason=f"edited by hand in {where}",
            by="somebody else",
            since=now,
            until=None,
        )
        for tenant, limit, value in valued.select("tenant", "limit", "value").iter_rows()
    ]


def _was(before: float | None) -> str:
    return "new" if before is None else figure(before)


def _is(after: float | None) -> str:
    return "gone" if after is None else figure(after)
