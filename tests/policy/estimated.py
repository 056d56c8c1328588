"""ESTIMATES for tests: a demand that is known as well as can be, and what differs from that."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from policy.frames import ESTIMATES

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def estimated(
    peak: float | None, *, tenant: str = "a", limit: str = "ingestion_rate", **told: object
) -> dict[str, object]:
    """One row of ESTIMATES: 14 days of this very peak, seen whole, nothing refused."""
    known = {
        "tenant": tenant,
        "limit": limit,
        **dict.fromkeys(("demand", "base", "recent", "sustained", "upper", "lower"), peak),
        "because": "the highest daily peak",
        "confidence": 1.0,
        "widening": 1.0,
        "days": 14,
        "hours": 14 * 24,
        "points": 14 * 24 * 12,
        "coverage": 1.0,
        "last_at": NOON,
    }
    return dict.fromkeys(ESTIMATES.names()) | known | told


def estimates(*rows: dict[str, object]) -> pl.DataFrame:
    """ESTIMATES of these rows."""
    return pl.DataFrame(list(rows), schema=ESTIMATES)
