"""The processes of the simulated cluster: each its own state, clock ticks and restarts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from simulator.distributor import TenantOnDistributor
from simulator.habits import Moment
from simulator.ingester import TenantOnIngester
from simulator.limiter import RECHECK_SECONDS, Limiter, Rate
from simulator.noise import key_of, unit
from simulator.runtime_config import RuntimeConfig
from simulator.shares import distributor_shares, ingester_shares
from simulator.tenants import Tenant

OVERRIDES_EXPORTER: Final = "overrides-exporter"

# Above any rate on earth; Mimir's "no limit" is the largest float, which does not multiply well.
_NO_LIMIT_PER_SECOND: Final = 1e15
_NO_LIMIT_SERIES: Final = 2**31 - 1

# Minimum needs by Mimir's capacity planning, and what an idle process costs.
_SAMPLES_PER_SECOND_PER_CORE: Final = 25_000.0
_BYTES_PER_SAMPLE_PER_SECOND: Final = 40_000.0
_SERIES_PER_CORE: Final = 300_000.0
_BYTES_PER_SERIES: Final = 8_300.0
_IDLE_CORES: Final = 0.01
_IDLE_BYTES: Final = 160e6

_RATE_WINDOW_SECONDS: Final = 15.0


def process_names(*, distributors: int, ingesters: int) -> list[str]:
    """The names of the cluster's processes, which are also the first part of their paths."""
    return [
        *(f"distributor-{index}" for index in range(distributors)),
        *(f"ingester-{index}" for index in range(ingesters)),
        OVERRIDES_EXPORTER,
    ]


def endpoints(port: int, *, distributors: int = 2, ingesters: int = 3) -> list[str]:
    """The base URL of every process; each serves `/metrics` and Mimir's other pages below it."""
    names = process_names(distributors=distributors, ingesters=ingesters)
    return [f"http://127.0.0.1:{port}/{name}" for name in names]


class Process:
    """What every process has: a configuration, an age, and a bill for CPU and memory."""

    def __init__(self, name: str, *, config: RuntimeConfig, now: float) -> None:
        self.name = name
        self.config = config
        self.started_at = now
        self.cpu_seconds = 0.0
        self.resident_bytes = _IDLE_BYTES
        self.samples_per_second = 0.0

    @property
    def target(self) -> str:
        """The component that runs here, as Mimir's `-target` names it."""
        return self.name if self.name == OVERRIDES_EXPORTER else self.name.rsplit("-", 1)[0]

    def spend(self, *, cores: float, resident_bytes: float, seconds: float) -> None:
        """Charge a step's work."""
        self.cpu_seconds += (_IDLE_CORES + cores) * seconds
        self.resident_bytes = _IDLE_BYTES + resident_bytes

    def saw(self, samples: float, *, seconds: float) -> None:
        """Keep the moving average that the instance limit on the ingestion rate is held to."""
        weight = min(1.0, seconds / _RATE_WINDOW_SECONDS)
        self.samples_per_second += weight * (samples / seconds - self.samples_per_second)

    def restart(self, now: float) -> None:
        """Begin the counters again."""
        self.started_at = now
        self.cpu_seconds = self.samples_per_second = 0.0


class Distributor(Process):
    """Meters samples; `tenants` by name."""

    def __init__(self, index: int, *, count: int, config: RuntimeConfig, now: float) -> None:
        super().__init__(f"distributor-{index}", config=config, now=now)
        self._index = index
        self._count = count
        self._shares: dict[str, float] = {}
        self._roster: list[Tenant] = []
        self.tenants: dict[str, TenantOnDistributor] = {}

    def admit(self, tenants: Sequence[Tenant], *, now: float) -> None:
        """Make room for the tenants, each with a full bucket."""
        self._roster = list(tenants)
        for tenant in tenants:
            self._shares[tenant.name] = distributor_shares(tenant, count=self._count)[self._index]
            self.tenants[tenant.name] = TenantOnDistributor(
                self._limiter(tenant, now=now), samples_per_request=tenant.samples_per_request
            )

    def push(self, tenant: str, *, samples: float, now: float, seconds: float) -> int:
        """Take this distributor's share of the tenant's samples; answer how many passed."""
        share = samples * self._shares[tenant]
        return self.tenants[tenant].push(share, now=now, seconds=seconds)

    def settle(self, received: int, *, seconds: float) -> None:
        """Account for a step in which this many samples passed."""
        self.saw(received, seconds=seconds)
        self.spend(
            cores=self.samples_per_second / _SAMPLES_PER_SECOND_PER_CORE,
            resident_bytes=self.samples_per_second * _BYTES_PER_SAMPLE_PER_SECOND,
            seconds=seconds,
        )

    def restart(self, now: float) -> None:
        """Begin the counters again; every bucket is full."""
        super().restart(now)
        self.admit(self._roster, now=now)

    def _limiter(self, tenant: Tenant, *, now: float) -> Limiter:
        phase = RECHECK_SECONDS * unit(tenant.key, 17 + self._index)
        return Limiter(lambda: self._rate(tenant.name), now=now, next_recheck=now + phase)

    def _rate(self, tenant: str) -> Rate:
        """The tenant's limit shared by the distributors; the burst is each one's own."""
        limits = self.config.current
        per_second = limits.number(tenant, "ingestion_rate") / self._count
        factor = limits.number(tenant, "ingestion_burst_factor")
        burst = (
            math.ceil(min(factor * per_second, _NO_LIMIT_PER_SECOND))
            if factor >= 1.0
            else limits.number(tenant, "ingestion_burst_size")
        )
        return Rate(
            min(max(0.0, per_second), _NO_LIMIT_PER_SECOND),
            min(max(0.0, burst), _NO_LIMIT_PER_SECOND),
        )


class Ingester(Process):
    """Holds series; `tenants` by name."""

    def __init__(self, index: int, *, config: RuntimeConfig, now: float, replicas: float) -> None:
        """Start empty; `replicas` is the replication factor over the number of ingesters."""
        super().__init__(f"ingester-{index}", config=config, now=now)
        self._index = index
        self._replicas = replicas
        self.tenants: dict[str, TenantOnIngester] = {}

    def admit(
        self, tenants: Sequence[Tenant], *, now: float, count: int, replication_factor: int
    ) -> None:
        """Load the tenants' series as if the process had been up for hours."""
        beginning = Moment(now, 0.0, math.inf)
        for tenant in tenants:
            shares = ingester_shares(tenant, count=count, replication_factor=replication_factor)
            self.tenants[tenant.name] = TenantOnIngester(
                tenant,
                series=tenant.demand(beginning).series,
                share=shares[self._index],
                now=now,
                limit=self.local_limit(tenant.name),
            )

    def local_limit(self, tenant: str) -> int:
        """Series that this ingester may hold for the tenant; 0 in the file means no limit."""
        series = self.config.current.number(tenant, "max_global_series_per_user")
        return int(series * self._replicas) if series > 0 else _NO_LIMIT_SERIES

    @property
    def memory_series(self) -> float:
        """Series of all tenants in memory."""
        return sum(tenant.memory for tenant in self.tenants.values())

    def settle(self, samples: float, *, seconds: float) -> None:
        """Account for a step in which this many samples arrived."""
        series = self.memory_series
        self.saw(samples, seconds=seconds)
        self.spend(
            cores=series / _SERIES_PER_CORE,
            resident_bytes=series * _BYTES_PER_SERIES,
            seconds=seconds,
        )

    def restart(self, now: float) -> None:
        """Begin the counters again; the series come back from the log."""
        super().restart(now)
        for tenant in self.tenants.values():
            tenant.restart()


def first_tick(name: str, *, seed: int, now: float, period_seconds: float) -> float:
    """When the process reloads first: each has its own phase, so they never agree at once."""
    return now + period_seconds * unit(key_of(seed=seed, name=name))
