"""What is told to Prometheus of alerting: deliveries, channels, what waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import polars as pl
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from policy.alerting.patience import Breaker, Standing

BREAKER_VALUES: Final[Mapping[Breaker, int]] = {"closed": 0, "open": 1, "half-open": 2}
TRY_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TOLD_BUCKETS: Final = (1, 5, 15, 30, 60, 300, 900, 3600, 14_400)


class AlertMetrics:
    """Counters of deliveries, and the state of the channels as it is when Prometheus asks."""

    def __init__(self, registry: CollectorRegistry, *, prefix: str) -> None:
        """Begin with nothing known; the names begin with `prefix`."""
        self.deliveries = Counter(
            f"{prefix}_alert_delivery",
            "Tries to tell an alert, by what became of it: success, failure, dead, dropped.",
            ["channel", "alert_type", "result"],
            registry=registry,
        )
        self.seconds = Histogram(
            f"{prefix}_alert_delivery_duration_seconds",
            "How long a try took.",
            ["channel"],
            buckets=TRY_BUCKETS,
            registry=registry,
        )
        self.response_seconds = Histogram(
            f"{prefix}_alert_channel_response_time_seconds",
            "How long it took from an alert to the moment when the channel had taken it.",
            ["channel"],
            buckets=TOLD_BUCKETS,
            registry=registry,
        )
        self.errors = Counter(
            f"{prefix}_alert_channel_errors",
            "What went wrong with a channel: channel_not_found, circuit_breaker_open, send_failed, "
            "invalid_config, timeout, queue_full.",
            ["channel", "error_type"],
            registry=registry,
        )
        self.retries = Counter(
            f"{prefix}_alert_retry_attempts",
            "Tries after the first.",
            ["channel", "alert_type"],
            registry=registry,
        )
        self.configuration_errors = Counter(
            f"{prefix}_alert_configuration_errors",
            "How often the settings of a channel became unusable: incomplete by themselves, or "
            "refused by the service.",
            ["channel", "config_error_type"],
            registry=registry,
        )
        self.channels = ChannelStates(prefix=prefix)
        registry.register(self.channels)


class ChannelStates(Collector):
    """Every enabled channel: whether it works, its breaker, what waits for it."""

    def __init__(self, *, prefix: str) -> None:
        """Begin with nothing known; the names begin with `prefix`."""
        self._prefix = prefix
        self._standings: Mapping[str, Standing] = {}
        self._waiting: Mapping[str, int] = {}

    def show(self, standings: Mapping[str, Standing], *, waiting: pl.DataFrame) -> None:
        """Take what one run found as the newest.

        Args:
            standings: of every enabled channel.
            waiting: columns channel and messages.
        """
        counted = waiting.group_by("channel").agg(pl.col("messages").sum())
        self._standings = dict(standings)
        self._waiting = dict(counted.iter_rows())

    def collect(self) -> Iterator[Metric]:
        """The gauges of this moment."""
        standings, waiting = self._standings, self._waiting
        yield self._gauge(
            "alert_channel_health",
            "1 where the newest try or check of the channel went well, 0 where it failed.",
            {
                channel: int(standing.problem is None)
                for channel, standing in standings.items()
                if standing.checked_at is not None or standing.problem is not None
            },
        )
        yield self._gauge(
            "alert_channel_circuit_breaker_state",
            "0 closed, 1 open: the channel is left alone, 2 half-open.",
            {channel: BREAKER_VALUES[standing.breaker] for channel, standing in standings.items()},
        )
        yield self._gauge(
            "alert_queue_size",
            "Messages that wait for the channel, retries among them.",
            {channel: waiting.get(channel, 0) for channel in standings},
        )
        yield self._gauge(
            "last_successful_alert_timestamp",
            "When the channel last took a message, in seconds since the epoch.",
            {
                channel: standing.succeeded_at.timestamp()
                for channel, standing in standings.items()
                if standing.succeeded_at is not None
            },
        )

    def _gauge(self, name: str, told: str, values: Mapping[str, float]) -> Metric:
        gauge = GaugeMetricFamily(f"{self._prefix}_{name}", told, labels=("channel",))
        for channel, value in values.items():
            gauge.add_metric((channel,), value)
        return gauge
