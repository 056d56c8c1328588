"""The processes of the simulated cluster: each its own state, clock ticks and restarts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from simulator.distributor import TenantOnDistributor
from simulator.habits import Moment
from simulator.ingester import TenantOnIngester
from simulator.limiter import RECHECK_SECONDS, Limiter, Rate
from simulator.noise import key_of, unit
from simulator.runtime_config import RuntimeConfig
from simulator.shares import distributor_shares, ingester_shares
from simulator.sizes import (
    BYTES_PER_SAMPLE_PER_SECOND,
    BYTES_PER_SERIES,
    COST_OF_A_DROPPED_SAMPLE,
    IDLE_BYTES,
    IDLE_CORES,
    SAMPLES_PER_SECOND_PER_CORE,
    SERIES_PER_CORE,
    SMALL,
    Size,
)
from simulator.tenants import Tenant

OVERRIDES_EXPORTER: Final = "overrides-exporter"
QUERY_FRONTEND: Final = "query-frontend"

# Above any rate on earth; Mimir's "no limit" is the largest float, which does not multiply well.
_NO_LIMIT_PER_SECOND: Final = 1e15
_NO_LIMIT_SERIES: Final = 2**31 - 1

RESTART_SECONDS: Final = 30.0
# So long a push may wait for a core; by then as many are in flight as a process allows.
MOST_WAITING_SECONDS: Final = 10.0
_RATE_WINDOW_SECONDS: Final = 15.0


def process_names(*, distributors: int, ingesters: int, queriers: int) -> list[str]:
    """The names of the cluster's processes, which are also the first part of their paths."""
    return [
        *(f"distributor-{index}" for index in range(distributors)),
        *(f"ingester-{index}" for index in range(ingesters)),
        *(f"querier-{index}" for index in range(queriers)),
        QUERY_FRONTEND,
        OVERRIDES_EXPORTER,
    ]


def endpoints(
    port: int, *, distributors: int = 2, ingesters: int = 3, queriers: int = 2
) -> list[str]:
    """The base URL of every process; each serves `/metrics` and Mimir's other pages below it."""
    names = process_names(distributors=distributors, ingesters=ingesters, queriers=queriers)
    return [f"http://127.0.0.1:{port}/{name}" for name in names]


class Process:
    """What every process has: a configuration, an age, a size, and a bill for CPU and memory.

    Attributes:
        size: what it may use of CPU and memory.
        waiting: work that has been let in and waits for CPU, core-seconds.
        refusing: the share of its work that it refuses now, because too much waits.
        rejected_requests: pushes that it refused since it started.
        down_until: when it has started again, Unix seconds.
    """

    def __init__(self, name: str, *, config: RuntimeConfig, now: float, size: Size = SMALL) -> None:
        self.name = name
        self.config = config
        self.size = size
        self.started_at = now
        self.down_until = 0.0
        self.cpu_seconds = self.samples_per_second = self.rejected_requests = 0.0
        self.waiting = self.refusing = 0.0
        self.resident_bytes = IDLE_BYTES

    @property
    def target(self) -> str:
        """The component that runs here, as Mimir's `-target` names it."""
        name, _, number = self.name.rpartition("-")
        return name if number.isdecimal() else self.name

    @property
    def out_of_memory(self) -> bool:
        """Whether it holds more than it may, and so is ended."""
        return self.resident_bytes > self.size.memory_bytes

    def spend(self, *, cores: float, resident_bytes: float, seconds: float) -> None:
        """Charge a step's work; nobody uses more cores than there are."""
        self.cpu_seconds += min(IDLE_CORES + cores, float(self.size.cores)) * seconds
        self.resident_bytes = IDLE_BYTES + resident_bytes

    def saw(self, samples: float, *, seconds: float) -> None:
        """Keep the moving average that the instance limit on the ingestion rate is held to."""
        weight = min(1.0, seconds / _RATE_WINDOW_SECONDS)
        self.samples_per_second += weight * (samples / seconds - self.samples_per_second)

    def take_on(self, cores: float, *, seconds: float) -> None:
        """Say what has to be refused of work for so many cores; what there is no core for waits."""
        work = cores * seconds
        most = self.size.cores * MOST_WAITING_SECONDS
        waiting = max(0.0, self.waiting + work - self.size.cores * seconds)
        self.waiting = min(waiting, most)
        self.refusing = min(1.0, (waiting - self.waiting) / work) if work else 0.0

    def restart(self, now: float) -> None:
        """Begin the counters again."""
        self.started_at = now
        self.cpu_seconds = self.samples_per_second = self.rejected_requests = 0.0
        self.waiting = self.refusing = 0.0

    def crash(self, now: float, *, seconds: float = RESTART_SECONDS) -> None:
        """End, and start again after so many seconds."""
        self.restart(now + seconds)
        self.down_until = now + seconds
        self.resident_bytes = IDLE_BYTES


class Distributor(Process):
    """Meters samples.

    Attributes:
        tenants: by name.
        healthy: distributors that are up; they share what a tenant may send, and what it sends.
    """

    def __init__(
        self, index: int, *, count: int, config: RuntimeConfig, now: float, size: Size = SMALL
    ) -> None:
        super().__init__(f"distributor-{index}", config=config, now=now, size=size)
        self._index = index
        self._count = count
        self._shares: dict[str, float] = {}
        self._roster: list[Tenant] = []
        self.healthy = count
        self.tenants: dict[str, TenantOnDistributor] = {}

    def admit(self, tenants: Sequence[Tenant], *, now: float) -> None:
        """Make room for the tenants, each with a full bucket."""
        self._roster = list(tenants)
        for tenant in tenants:
            self._shares[tenant.name] = distributor_shares(tenant, count=self._count)[self._index]
            self.tenants[tenant.name] = TenantOnDistributor(
                self._limiter(tenant, now=now),
                requests_limiter=self._requests_limiter(tenant, now=now),
                samples_per_request=tenant.samples_per_request,
            )

    def share(self, tenant: str) -> float:
        """The part of the tenant's samples that comes here, if every distributor is up."""
        return self._shares[tenant]

    def brace(self, offered: Mapping[str, float], *, now: float, seconds: float) -> None:
        """See what has to be refused of the samples that tenants offer in this step."""
        whole = sum(offered.values())
        passing = sum(
            self.tenants[name].passing(samples, now=now, seconds=seconds)
            for name, samples in offered.items()
        )
        work = passing + (whole - passing) * COST_OF_A_DROPPED_SAMPLE
        self.take_on(work / seconds / SAMPLES_PER_SECOND_PER_CORE, seconds=seconds)

    def push(self, tenant: str, *, samples: float, now: float, seconds: float) -> int:
        """Take samples of the tenant; answer how many passed."""
        known = self.tenants[tenant]
        if self.refusing:
            self.rejected_requests += samples * self.refusing / known.samples_per_request
        return known.push(samples * (1.0 - self.refusing), now=now, seconds=seconds)

    def settle(self, received: int, *, offered: float, seconds: float) -> None:
        """Account for a step in which this many of the offered samples passed."""
        self.saw(received, seconds=seconds)
        read = offered * (1.0 - self.refusing)
        dropped = max(0.0, read - received)
        self.spend(
            cores=(self.samples_per_second + dropped / seconds * COST_OF_A_DROPPED_SAMPLE)
            / SAMPLES_PER_SECOND_PER_CORE,
            resident_bytes=self.samples_per_second * BYTES_PER_SAMPLE_PER_SECOND,
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
        per_second = limits.number(tenant, "ingestion_rate") / self.healthy
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

    def _requests_limiter(self, tenant: Tenant, *, now: float) -> Limiter:
        phase = RECHECK_SECONDS * unit(tenant.key, 17 + self._index)
        return Limiter(lambda: self._request_rate(tenant.name), now=now, next_recheck=now + phase)

    def _request_rate(self, tenant: str) -> Rate:
        """The tenant's requests/s shared by the distributors; 0 means no limit."""
        limits = self.config.current
        per_second = limits.number(tenant, "request_rate")
        if per_second <= 0.0:
            return Rate(_NO_LIMIT_PER_SECOND, _NO_LIMIT_PER_SECOND)
        return Rate(per_second / self.healthy, limits.number(tenant, "request_burst_size"))


class Ingester(Process):
    """Holds series; `tenants` by name."""

    def __init__(
        self,
        index: int,
        *,
        config: RuntimeConfig,
        now: float,
        replicas: float,
        size: Size = SMALL,
    ) -> None:
        """Start empty; `replicas` is the replication factor over the number of ingesters."""
        super().__init__(f"ingester-{index}", config=config, now=now, size=size)
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

    def local_limit(self, tenant: str, *, limit: str = "max_global_series_per_user") -> int:
        """Series that this ingester may hold for the tenant; 0 in the file means no limit."""
        series = self.config.current.number(tenant, limit)
        return int(series * self._replicas) if series > 0 else _NO_LIMIT_SERIES

    @property
    def memory_series(self) -> float:
        """Series of all tenants in memory."""
        return sum(tenant.memory for tenant in self.tenants.values())

    def settle(self, samples: float, *, seconds: float) -> None:
        """Account for a step in which this many samples arrived."""
        series = self.memory_series
        cores = series / SERIES_PER_CORE
        self.take_on(cores, seconds=seconds)
        self.saw(samples, seconds=seconds)
        self.spend(cores=cores, resident_bytes=series * BYTES_PER_SERIES, seconds=seconds)

    def restart(self, now: float) -> None:
        """Begin the counters again; the series come back from the log."""
        super().restart(now)
        for tenant in self.tenants.values():
            tenant.restart()

    def crash(self, now: float, *, seconds: float = RESTART_SECONDS) -> None:
        """End without a word; of the series only those being sent come back from the log."""
        for tenant in self.tenants.values():
            tenant.forget_unsent()
        super().crash(now, seconds=seconds)


def first_tick(name: str, *, seed: int, now: float, period_seconds: float) -> float:
    """When the process reloads first: each has its own phase, so they never agree at once."""
    return now + period_seconds * unit(key_of(seed=seed, name=name))
