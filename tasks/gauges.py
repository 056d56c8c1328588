"""Metrics that are made when Prometheus asks: Mimir's resources, and what our cache was asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from policy.emergency.readings import Reading
from policy.resources import (
    CPU,
    DISK,
    INSTANCE,
    MEMORY,
    NETWORK_IN,
    NETWORK_OUT,
    RESOURCES,
    RESTARTS,
    UP,
)
from tasks.cache import lookups

_LABELS: Final = ("pod", "component")
_USED: Final = {
    UP: ("up", "1 when the process answered the newest look."),
    CPU: ("cpu_cores", "Cores that the process uses."),
    MEMORY: ("memory_bytes", "Memory that the process uses."),
    DISK: ("disk_bytes", "Bytes used on the volume of the process."),
    NETWORK_IN: ("network_receive_bytes_per_second", "Bytes/s that the process receives."),
    NETWORK_OUT: ("network_transmit_bytes_per_second", "Bytes/s that the process sends."),
}
_RATIOS: Final = {
    CPU: ("cpu_ratio", "Cores used, of those the process may use."),
    MEMORY: ("memory_ratio", "Memory used, of what the process may use."),
    DISK: ("disk_ratio", "Bytes used, of those on the volume."),
}


class MimirResources(Collector):
    """What the newest look at Mimir's processes found; what it did not measure has no series."""

    def __init__(self, *, prefix: str) -> None:
        """Begin with nothing known; the names begin with `prefix`."""
        self._prefix = f"{prefix}_mimir"
        self._seen = pl.DataFrame(schema=RESOURCES)
        self._restarts: Counter[str] = Counter()
        self._components: dict[str, str] = {}

    def show(self, resources: pl.DataFrame) -> None:
        """Take RESOURCES of one look as the newest; call it once for each."""
        told = dict(resources.select(_LABELS).iter_rows())
        # A process that does not answer tells no component: the one it had is its label still.
        self._components = {
            pod: component or self._components.get(pod, "") for pod, component in told.items()
        }
        restarted = dict(resources.filter(resource=RESTARTS).select("pod", "used").iter_rows())
        # Replaced as a whole: the endpoint may be reading.
        self._restarts = Counter(
            {pod: self._restarts[pod] + int(restarted.get(pod) or 0) for pod in told}
        )
        component = pl.col("pod").replace_strict(self._components, return_dtype=pl.String)
        self._seen = resources.with_columns(component.alias("component"))

    def collect(self) -> Iterator[Metric]:
        """The gauges of this moment."""
        seen, restarts, components = self._seen, self._restarts, self._components
        for resource, (name, told) in _USED.items():
            yield self._gauge(name, told, seen.filter(resource=resource), pl.col("used"))
        full = seen.filter(pl.col("limit") > 0)
        ratio = pl.col("used") / pl.col("limit")
        for resource, (name, told) in _RATIOS.items():
            yield self._gauge(name, told, full.filter(resource=resource), ratio)
        instance = full.filter(pl.col("resource").is_in(list(INSTANCE.values())))
        told = "How full the limit of a process as a whole is."
        yield self._gauge("instance_limit_ratio", told, instance, ratio, by="resource")
        counted = CounterMetricFamily(
            f"{self._prefix}_restarts", "Restarts of the process that were seen.", labels=_LABELS
        )
        for pod, times in restarts.items():
            counted.add_metric((pod, components.get(pod, "")), times)
        yield counted

    def _gauge(
        self, name: str, told: str, rows: pl.DataFrame, value: pl.Expr, by: str | None = None
    ) -> Metric:
        labels = (*_LABELS, "limit") if by else _LABELS
        gauge = GaugeMetricFamily(f"{self._prefix}_{name}", told, labels=labels)
        columns = (*_LABELS, by) if by else _LABELS
        measured = rows.select(*columns, value.alias("value")).drop_nulls("value")
        for *who, amount in measured.iter_rows():
            gauge.add_metric(who, amount)
        return gauge


class ResourceUsage(Collector):
    """How full the fullest process of each component is, as the emergency levels go by it."""

    def __init__(self, *, prefix: str) -> None:
        """Begin with nothing known; the name begins with `prefix`."""
        self._prefix = prefix
        self._seen: Sequence[Reading] = ()

    def show(self, worst: Sequence[Reading]) -> None:
        """Take the readings of one look as the newest."""
        self._seen = worst

    def collect(self) -> Iterator[Metric]:
        """The gauge of this moment."""
        gauge = GaugeMetricFamily(
            f"{self._prefix}_resource_usage_percent",
            "Percent of what a process may use, of the fullest one.",
            labels=("component", "resource"),
        )
        for reading in self._seen:
            gauge.add_metric((reading.component or "", reading.resource), reading.value)
        yield gauge


class CacheLookups(Collector):
    """How often the cache of this process was asked, by outcome."""

    def __init__(self, *, prefix: str) -> None:
        """Take the counts of tasks.cache; the name begins with `prefix`."""
        self._prefix = prefix

    def collect(self) -> Iterator[Metric]:
        """The counter of this moment."""
        told = "Looks into the cache of Mimir's answers, by outcome."
        counted = CounterMetricFamily(f"{self._prefix}_cache_lookups", told, labels=("outcome",))
        for outcome, times in lookups().items():
            counted.add_metric((outcome,), times)
        yield counted
