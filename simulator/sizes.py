"""How large the processes are, and what work costs them: by Mimir's capacity planning.

An operator sizes processes by what tenants usually need, with headroom; so does the simulator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from simulator.tenants import Tenant

SAMPLES_PER_SECOND_PER_CORE: Final = 25_000.0
BYTES_PER_SAMPLE_PER_SECOND: Final = 40_000.0
SERIES_PER_CORE: Final = 300_000.0
BYTES_PER_SERIES: Final = 8_300.0
# A sample that the limiter drops was received and parsed, and no more than that.
COST_OF_A_DROPPED_SAMPLE: Final = 0.25
CORE_SECONDS_PER_QUERY: Final = 0.05
BYTES_PER_QUERY_PER_SECOND: Final = 10e6
SAMPLES_PER_SECOND_PER_QUERY: Final = 2_000.0  # a tenant of this size asks one query a second
IDLE_CORES: Final = 0.01
IDLE_BYTES: Final = 160e6

HEADROOM: Final = 3.0
GIB: Final = 2.0**30


class Size(NamedTuple):
    """What a process may use."""

    cores: int
    memory_bytes: float


SMALL: Final = Size(4, 8 * GIB)


def sizes(
    tenants: Sequence[Tenant],
    *,
    headroom: float,
    smallest: Size,
    counts: Mapping[str, int],
    replication_factor: int,
) -> dict[str, Size]:
    """The size of each component's processes, in whole cores and GiB.

    Args:
        tenants: whose usual sizes are to fit.
        headroom: how many times they are to fit.
        smallest: what every process has, so that a small cluster is not fragile.
        counts: processes by component: distributor, ingester, querier.
        replication_factor: how many ingesters hold a series.
    """
    samples = sum(tenant.samples_per_second for tenant in tenants)
    series = sum(tenant.series for tenant in tenants)
    replicas = min(1.0, replication_factor / counts["ingester"])
    metered = samples / counts["distributor"]
    series_held = series * replicas
    queries = samples / SAMPLES_PER_SECOND_PER_QUERY / counts["querier"]
    needs = {
        "distributor": (
            metered / SAMPLES_PER_SECOND_PER_CORE,
            metered * BYTES_PER_SAMPLE_PER_SECOND,
        ),
        "ingester": (series_held / SERIES_PER_CORE, series_held * BYTES_PER_SERIES),
        "querier": (queries * CORE_SECONDS_PER_QUERY, queries * BYTES_PER_QUERY_PER_SECOND),
    }
    return {
        component: Size(
            max(smallest.cores, math.ceil(cores * headroom)),
            max(smallest.memory_bytes, math.ceil((IDLE_BYTES + held * headroom) / GIB) * GIB),
        )
        for component, (cores, held) in needs.items()
    }
