"""STANDINGS for tests: a limit that fits, and what differs from that."""

from __future__ import annotations

import polars as pl

from policy.standings import STANDINGS
from tests.policy.estimated import NOON


def standing(tenant: str = "a", limit: str = "ingestion_rate", **told: object) -> dict[str, object]:
    """One row of STANDINGS: half of the limit is used, and nothing speaks against it."""
    known = {
        "at": NOON,
        "tenant": tenant,
        "limit": limit,
        "value": 10_000.0,
        "recommended": 10_000.0,
        "utilisation": 0.5,
        "hit_probability": 0.01,
        "hit_days": 0,
        "confidence": 1.0,
        "severity": "ok",
        "provision": "fits",
    }
    return dict.fromkeys(STANDINGS.names()) | known | told


def standings_of(*rows: dict[str, object]) -> pl.DataFrame:
    """STANDINGS of these rows."""
    return pl.DataFrame(list(rows), schema=STANDINGS)
