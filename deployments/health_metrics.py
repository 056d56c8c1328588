"""Whether each part of the process works, for Prometheus: as it is when it asks."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from flows.vitals import Vitals
from tasks.telemetry import PREFIX


class HealthStatus(Collector):
    """1 where a part works, 0 where it does not; what has not run yet has no series."""

    def __init__(self, vitals: Vitals) -> None:
        """Read it from what the flows last did."""
        self._vitals = vitals

    def collect(self) -> Iterator[Metric]:
        """The gauge of this moment."""
        found = GaugeMetricFamily(
            f"{PREFIX}_health_status",
            "Whether a part of the process works: each flow by its newest run, mimir, history.",
            labels=("component",),
        )
        for component, problem in self._vitals.components().items():
            found.add_metric((component,), float(problem is None))
        yield found
