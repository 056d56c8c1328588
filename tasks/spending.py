"""Metrics of what is spent: of everybody, of teams, and of the few tenants that matter most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import polars as pl
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

MOST_TENANTS: Final = 20
"""Tenants that are labels: this program must not be a cardinality blast."""
PERIODS: Final = ("day", "month")


class Spending(Collector):
    """What the newest run of `cost` found; what is not known has no series."""

    def __init__(self, *, prefix: str) -> None:
        """Begin with nothing known; the names begin with `prefix`."""
        self._prefix = prefix
        self._used: list[tuple[tuple[str, ...], float]] = []
        self._spent: list[tuple[tuple[str, ...], float]] = []

    def show(self, status: pl.DataFrame, *, spent: pl.DataFrame) -> None:
        """Take one run as the newest.

        Args:
            status: STATUS of each budget.
            spent: scope, name, unit, currency, amount: in the running day and month.
        """
        used = _few(status.drop_nulls("used"), by="used")
        self._used = _series(used, labels=("scope", "name", "unit"), value="used")
        known = _few(spent.drop_nulls("amount"), by="amount")
        self._spent = _series(known, labels=("scope", "name", "unit", "currency"), value="amount")

    def collect(self) -> Iterator[Metric]:
        """The gauges of this moment."""
        used, spent = self._used, self._spent
        ratio = GaugeMetricFamily(
            f"{self._prefix}_budget_usage_ratio",
            "What is spent of a budget in the running period, 0 to 1 and above; of tenants the "
            f"{MOST_TENANTS} that used most.",
            labels=("scope", "name", "period"),
        )
        for labels, value in used:
            ratio.add_metric(labels, value)
        yield ratio
        current = GaugeMetricFamily(
            f"{self._prefix}_cost_current",
            f"What the running day and month cost so far; of tenants the {MOST_TENANTS} dearest.",
            labels=("scope", "name", "period", "currency"),
        )
        for labels, value in spent:
            current.add_metric(labels, value)
        yield current


def _few(rows: pl.DataFrame, *, by: str) -> pl.DataFrame:
    """The rows, of tenants those with the most in any period only."""
    of_tenants = pl.col("scope") == "tenant"
    most = (
        rows.filter(of_tenants)
        .group_by("name")
        .agg(pl.col(by).max())
        .sort(by, "name", descending=[True, False])
    )
    return rows.filter(
        ~of_tenants | pl.col("name").is_in(most["name"].head(MOST_TENANTS).implode())
    )


def _series(
    rows: pl.DataFrame, *, labels: tuple[str, ...], value: str
) -> list[tuple[tuple[str, ...], float]]:
    return [
        (tuple(map(str, row[:-1])), float(row[-1]))
        for row in rows.select(*labels, value).iter_rows()
    ]
