"""Metrics of our own work: how far limits are from demand, what changes, what is withheld and why.

No tenant is a label: a limit, a reason and a direction are few. What a run shows replaces what
the run before showed, at once, as the endpoint may be reading; what is counted goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

# (recent peak - limit) / limit: -0.9 uses a tenth of the limit, above 0 is refused.
ERRORS: Final = (-0.95, -0.9, -0.8, -0.7, -0.6, -0.5, -0.4, -0.3, -0.2, -0.1, 0.0, 0.5, 1.0)

_Errors = dict[str, list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """What the newest run showed, by label."""

    withheld: dict[str, int]
    confidence: dict[str, float]
    flapping: int


class OwnQuality(Collector):
    """How good the limits and our decisions are, by the runs of `optimize`."""

    def __init__(self, *, prefix: str) -> None:
        """Begin with nothing known; the names begin with `prefix`."""
        self._prefix = prefix
        self._shown: _Shown | None = None
        self._errors: _Errors = {}
        self._changes: Counter[tuple[str, str]] = Counter()

    def show(
        self, standings: pl.DataFrame, *, decisions: pl.DataFrame, changed: pl.DataFrame
    ) -> None:
        """Take one run as the newest; call it once for each.

        Args:
            standings: STANDINGS.
            decisions: DECISIONS.
            changed: those of them that are put to work.
        """
        withheld = decisions.filter(outcome="withheld")
        believed = standings.drop_nulls("confidence").group_by("limit")
        flapping = decisions.filter(reason="flapping")["tenant"].n_unique()
        self._shown = _Shown(
            withheld=dict(withheld.group_by("reason").len().sort("reason").iter_rows()),
            confidence=dict(believed.agg(pl.col("confidence").mean()).sort("limit").iter_rows()),
            flapping=flapping,
        )
        self._errors = _added(self._errors, standings)
        turned = changed.group_by("limit", "outcome").len()
        self._changes = self._changes + Counter({row[:2]: row[2] for row in turned.iter_rows()})

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment."""
        yield self._histogram()
        told = "Limits that were changed and put to work, by limit and direction."
        changes = CounterMetricFamily(
            f"{self._prefix}_limit_changes", told, labels=("limit", "direction")
        )
        for labels, times in sorted(self._changes.items()):
            changes.add_metric(labels, times)
        yield changes
        shown = self._shown
        if shown is not None:
            yield from self._gauges(shown)

    def _histogram(self) -> Metric:
        told = (
            "The recent peak against the limit in force, (peak - limit) / limit, of each tenant "
            "in each run, by limit."
        )
        family = HistogramMetricFamily(f"{self._prefix}_limit_error_ratio", told, labels=("limit",))
        bounds = [*map(floatToGoString, ERRORS), "+Inf"]
        for limit, counts in sorted(self._errors.items()):
            # With bounds below zero there is no sum, and without a sum no count.
            family.add_metric([limit], list(zip(bounds, counts, strict=True)), sum_value=None)
        return family

    def _gauges(self, shown: _Shown) -> Iterator[Metric]:
        withheld = GaugeMetricFamily(
            f"{self._prefix}_withheld_limits",
            "Limits that the newest run left as they are, by the reason.",
            labels=("reason",),
        )
        for reason, count in shown.withheld.items():
            withheld.add_metric([reason], count)
        yield withheld
        confidence = GaugeMetricFamily(
            f"{self._prefix}_confidence_ratio",
            "How far the estimates of the newest run are believed, mean of all tenants, by limit.",
            labels=("limit",),
        )
        for limit, mean in shown.confidence.items():
            confidence.add_metric([limit], mean)
        yield confidence
        yield GaugeMetricFamily(
            f"{self._prefix}_tenants_flapping",
            "Tenants with a limit that is frozen because its direction turned too often.",
            value=shown.flapping,
        )


def _added(errors: _Errors, standings: pl.DataFrame) -> _Errors:
    """The cumulative counts by limit, one for each bound and one for all, with one run more."""
    error = pl.col("utilisation") - 1
    counted = (
        standings.drop_nulls("utilisation")
        .group_by("limit")
        .agg(*((error <= bound).sum().alias(f"{bound}") for bound in ERRORS), all=pl.len())
    )
    grown = dict(errors)
    for limit, *counts in counted.iter_rows():
        before = errors.get(limit, [0] * len(counts))
        grown[limit] = [old + new for old, new in zip(before, counts, strict=True)]
    return grown
