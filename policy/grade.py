"""One glance at the whole: a letter for how well the limits of all tenants stand.

A tenant counts by its worst limit. Tenants of which nothing can be judged are not counted, so
that silence makes a grade neither better nor worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from policy.standings import SEVERITIES

WEIGHTS: Final = {"critical": 1.0, "warning": 0.7}
_LETTERS: Final = (("F", 0.30), ("D", 0.55), ("C", 0.70), ("B", 0.90))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """How well the limits stand.

    Attributes:
        score: 0..1; None when no tenant can be judged.
        tenants: how many tenants there are by severity, each of SEVERITIES.
    """

    score: float | None
    tenants: dict[str, int]

    @property
    def letter(self) -> str | None:
        """A is best, F worst; None without a score."""
        if self.score is None:
            return None
        return next((letter for letter, below in _LETTERS if self.score < below), "A")


def grade(standings: pl.DataFrame) -> Grade:
    """The grade of all these tenants: (n - 0.7 warnings - 1.0 criticals) / n.

    Args:
        standings: STANDINGS.
    """
    ranks = {severity: rank for rank, severity in enumerate(SEVERITIES)}
    worst = standings.group_by("tenant").agg(
        pl.col("severity").replace_strict(ranks, return_dtype=pl.Int64).min()
    )
    counted = dict(worst.group_by("severity").len().iter_rows())
    tenants = {severity: counted.get(rank, 0) for severity, rank in ranks.items()}
    judged = sum(tenants.values()) - tenants["unknown"]
    if not judged:
        return Grade(score=None, tenants=tenants)
    lost = sum(weight * tenants[severity] for severity, weight in WEIGHTS.items())
    return Grade(score=(judged - lost) / judged, tenants=tenants)
