"""Books and hours of usage, as tests write them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from policy.cost.prices import PriceBook, price_book
from policy.cost.usage import IMPORTED, USAGE
from policy.settings import parse_settings
from policy.settings.cost import CostControl

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVERYTHING = {
    "from": date(2026, 1, 1),
    "perMillionSamples": "0.10",
    "perThousandSeriesHours": "0.02",
    "perQuery": "0.001",
    "perQuerySecond": "0.0005",
    "perGbMonth": "0.03",
    "perCoreHour": "0.04",
    "perMemoryGbHour": "0.005",
    "perDiskGbMonth": "0.1",
}


def rules(**tree: Any) -> CostControl:  # noqa: ANN401 - a tree of settings
    return parse_settings({"costControl": tree}).cost_control


def book(*lists: dict[str, Any], zone: str = "UTC") -> PriceBook:
    return price_book(rules(prices=list(lists), timeZone=zone))


def usage(*rows: dict[str, Any]) -> pl.DataFrame:
    """USAGE of tenant a at noon, where nothing else is said."""
    usual = {"at": NOON, "tenant": "a", "covered_seconds": 3600.0}
    return pl.DataFrame([usual | row for row in rows], schema=USAGE)


def attributed(*rows: tuple[str, str, float], covered: float = 3600.0) -> pl.DataFrame:
    """IMPORTED of the parts of teams of tenant a at noon: kind, team, mean."""
    signals = {"samples": "attributed_samples_per_second", "series": "attributed_active_series"}
    found: Sequence[tuple[object, ...]] = [
        (NOON, "a", f"{signals[kind]}:{team}", mean, covered) for kind, team, mean in rows
    ]
    return pl.DataFrame(found, schema=IMPORTED, orient="row")
