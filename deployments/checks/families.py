"""Check that no family is missing beside another one, as where an allow-list leaves it out."""

from __future__ import annotations

import polars as pl

from deployments.checks.check import Check, ok, warning
from policy.essential import ESSENTIALS, missing


def check_families(readings: pl.DataFrame, *, source: str, mend: str) -> Check:
    """Whether what we measure by is whole.

    Args:
        readings: READINGS of one look at all processes.
        source: of the look, as the names of its checks begin.
        mend: what to do where a family is missing.
    """
    name = f"{source} families"
    lacking = missing(readings)
    if not lacking:
        return ok(name, f"none of {len(ESSENTIALS)} that others depend on is missing")
    told = "; ".join(f"{one.family} is missing: {one.follows}" for one in lacking)
    return warning(name, told, mend=mend)
