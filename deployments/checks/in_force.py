"""Check that what our file says is what Mimir has loaded: the proof that it reads the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl

from deployments.checks.check import Check, ok, skipped, warning
from policy.document import parse
from policy.errors import ConfigError
from policy.figures import figure

NAME: Final = "mimir reads our file"


def check_in_force(path: Path, *, overrides: pl.DataFrame, defaults: Mapping[str, float]) -> Check:
    """Compare the limits of our file with those that Mimir shows.

    Args:
        path: our runtime file.
        overrides: LIMITS that Mimir has loaded; those equal to the default are not among them.
        defaults: Mimir's own defaults.
    """
    try:
        ours = parse(path.read_bytes())
    except (OSError, ConfigError):
        return skipped(NAME, "there is no file of ours to look for")
    if ours.is_empty():
        return skipped(NAME, "our file says nothing yet, so it cannot be seen there")
    default = pl.col("limit").replace_strict(dict(defaults), default=None, return_dtype=pl.Float64)
    both = ours.join(
        overrides.select("tenant", "limit", seen="value"), on=["tenant", "limit"], how="left"
    ).with_columns(seen=pl.coalesce("seen", default))
    other = both.filter(pl.col("value").ne_missing(pl.col("seen")))
    if other.is_empty():
        return ok(NAME, f"all {ours.height} limits of {path} are in force")
    first = other.row(0, named=True)
    return warning(
        NAME,
        f"{other.height} of {ours.height} limits of {path} are not in force: {first['limit']} of "
        f"{first['tenant']} is {figure(first['seen'])}, not {figure(first['value'])}",
        mend="wait for a reload period; then: name our file last in -runtime-config.file, "
        "by the path under which Mimir sees it",
    )
