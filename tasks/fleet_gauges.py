"""Metrics of tenants: few of them, and as many as the settings allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Series = Sequence[tuple[tuple[str, ...], float]]

_LABELS: Final = ("tenant", "limit")


class FleetGauges(Collector):
    """The limits of the tenants that are likeliest to hit one, and who blasts.

    A tenant that is no label is counted in `tenants_not_shown`: this program must not be a
    cardinality blast.
    """

    def __init__(self, *, prefix: str) -> None:
        """Begin with nothing known; the names begin with `prefix`."""
        self._prefix = prefix
        self._current: Series = []
        self._recommended: Series = []
        self._spikes: Series = []
        self._hidden: int | None = None

    def show_limits(self, standings: pl.DataFrame, *, most: int) -> None:
        """Take how limits stand as the newest.

        Args:
            standings: STANDINGS.
            most: tenants that may be labels; 0: none.
        """
        order = (
            standings.group_by("tenant")
            .agg(pl.col("hit_probability", "utilisation").max())
            .sort(
                "hit_probability",
                "utilisation",
                "tenant",
                descending=[True, True, False],
                nulls_last=True,
            )["tenant"]
        )
        shown = standings.filter(pl.col("tenant").is_in(order.head(most).implode()))
        self._current = _series(shown, value="value")
        self._recommended = _series(shown, value="recommended")
        self._hidden = max(0, len(order) - most)

    def show_spikes(self, detected: pl.DataFrame, *, most: int) -> None:
        """Take who blasts as the newest.

        Args:
            detected: DETECTED, those that are sure.
            most: tenants that may be labels.
        """
        far = (
            detected.filter(pl.col("usual") > 0)
            .group_by("tenant")
            .agg(times=(pl.col("value") / pl.col("usual")).max())
            .sort("times", "tenant", descending=[True, False])
            .head(most)
        )
        self._spikes = [((tenant,), times) for tenant, times in far.iter_rows()]

    def collect(self) -> Iterator[Metric]:
        """The gauges of this moment."""
        yield _family(
            f"{self._prefix}_tenant_current_limits",
            "A limit in force, in its own unit; of the tenants that are likeliest to hit one.",
            _LABELS,
            self._current,
        )
        yield _family(
            f"{self._prefix}_tenant_recommended_limits",
            "What is recommended for the same limits.",
            _LABELS,
            self._recommended,
        )
        yield _family(
            f"{self._prefix}_spike_multiplier",
            "How many times its usual a tenant that blasts asks for, of whatever it is most.",
            ("tenant",),
            self._spikes,
        )
        hidden = [] if self._hidden is None else [((), float(self._hidden))]
        yield _family(
            f"{self._prefix}_tenants_not_shown",
            "Tenants whose limits are known and that are no label of these metrics.",
            (),
            hidden,
        )


def _family(name: str, help_: str, labels: tuple[str, ...], series: Series) -> GaugeMetricFamily:
    found = GaugeMetricFamily(name, help_, labels=labels)
    for values, value in series:
        found.add_metric(values, value)
    return found


def _series(rows: pl.DataFrame, *, value: str) -> Series:
    known = rows.drop_nulls(value).filter(pl.col(value).is_finite())
    return [
        ((tenant, limit), number)
        for tenant, limit, number in known.select(*_LABELS, value).iter_rows()
    ]
