"""What the commit of a change says to the person who merges it."""

from __future__ import annotations

from typing import Final

import polars as pl

from policy.document import parse
from policy.errors import ConfigError
from policy.figures import figure
from policy.frames import LIMITS, empty

LISTED: Final = 50  # changes that a message lists


def commit_message(*, before: bytes | None, after: bytes) -> str:
    """How many limits are raised, lowered, set and withdrawn, and each of the first.

    Args:
        before: the document that was merged, None where there was none; one that is not ours to
            read counts as none.
        after: the document that is proposed.
    """
    changes = _changes(_limits(before), parse(after))
    tenants = changes["tenant"].n_unique()
    counted = [f"{count} {verb}" for verb, count in _counted(changes) if count]
    who = "1 tenant" if tenants == 1 else f"{tenants} tenants"
    subject = f"Limits of {who}: {', '.join(counted) or 'nothing changed'}"
    lines = [_line(*row) for row in changes.head(LISTED).iter_rows()]
    left = changes.height - len(lines)
    more = [f"- and {left} more"] if left else []
    why = ["", "`mlo explain TENANT` says why each limit is what it is."]
    return "\n".join([subject, "", *lines, *more, *why, ""])


def _limits(document: bytes | None) -> pl.DataFrame:
    try:
        return parse(document) if document else empty(LIMITS)
    except ConfigError:
        return empty(LIMITS)


def _changes(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """tenant, limit, former, value; null where it is not set."""
    both = before.rename({"value": "former"}).join(
        after, on=["tenant", "limit"], how="full", coalesce=True
    )
    changed = both.filter(pl.col("former").ne_missing(pl.col("value")))
    return changed.select("tenant", "limit", "former", "value").sort("tenant", "limit")


def _counted(changes: pl.DataFrame) -> list[tuple[str, int]]:
    former, value = pl.col("former"), pl.col("value")
    kinds = {
        "raised": value > former,
        "lowered": value < former,
        "set": former.is_null(),
        "withdrawn": value.is_null(),
    }
    return [(verb, changes.filter(kind).height) for verb, kind in kinds.items()]


def _line(tenant: str, limit: str, former: float | None, value: float | None) -> str:
    if value is None:
        return f"- {tenant}: {limit} {figure(former)} withdrawn"
    if former is None:
        return f"- {tenant}: {limit} set to {figure(value)}"
    return f"- {tenant}: {limit} {figure(former)} -> {figure(value)}"
