"""Check that what our document says is what Mimir has loaded: the proof that it reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from deployments.checks.check import Check, ok, skipped, warning
from policy.figures import figure

NAME: Final = "mimir reads our file"


def check_in_force(
    ours: pl.DataFrame | None, *, overrides: pl.DataFrame, defaults: Mapping[str, float]
) -> Check:
    """Compare the limits of our document with those that Mimir shows.

    Args:
        ours: LIMITS of the document; None where there is none.
        overrides: LIMITS that Mimir has loaded; those equal to the default are not among them.
        defaults: Mimir's own defaults.
    """
    if ours is None:
        return skipped(NAME, "there is no document of ours to look for")
    if ours.is_empty():
        return skipped(NAME, "our document says nothing yet, so it cannot be seen there")
    default = pl.col("limit").replace_strict(dict(defaults), default=None, return_dtype=pl.Float64)
    both = ours.join(
        overrides.select("tenant", "limit", seen="value"), on=["tenant", "limit"], how="left"
    ).with_columns(seen=pl.coalesce("seen", default))
    other = both.filter(pl.col("value").ne_missing(pl.col("seen")))
    if other.is_empty():
        return ok(NAME, f"all {ours.height} limits of our document are in force")
    first = other.row(0, named=True)
    return warning(
        NAME,
        f"{other.height} of {ours.height} limits of our document are not in force: "
        f"{first['limit']} of {first['tenant']} is {figure(first['seen'])}, "
        f"not {figure(first['value'])}",
        mend="wait for a reload period; then: name our file last in -runtime-config.file, "
        "by the path under which Mimir sees it",
    )
