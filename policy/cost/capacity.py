"""What usage needs of a Mimir cluster, by the rules of Mimir's capacity planning.

Per component: what drives it, and how much of it a core, a GB of memory and a GB of disk carry.
Ingesters hold each series as often as it is replicated. What a component needs that no signal
drives, the alertmanager for one, is in nobody's figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from policy.cost.usage import SECONDS_PER_HOUR

PER_DISTRIBUTOR: Final = 25_000.0  # samples/s that take a core and a GB
PER_INGESTER: Final = 300_000.0  # series in memory that take a core
INGESTER_MEMORY_GB: Final = 2.5
INGESTER_DISK_GB: Final = 5.0
PER_COMPACTOR: Final = 20e6  # active series that take a core
COMPACTOR_MEMORY_GB: Final = 4.0
COMPACTOR_DISK_GB: Final = 300.0
PER_QUERY_CORE: Final = (250.0, 500.0, 10.0, 10.0)
"""Queries/s per core of query-frontend, query-scheduler, querier, store-gateway."""
PER_QUERY_GB: Final = (250.0, 5_000.0, 10.0, 10.0)
"""Queries/s per GB of the same."""
STORE_GATEWAY_DISK_GB: Final = 13.0 / 1e6  # per active series


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What the rules need to know.

    Attributes:
        replication: how often each series is held.
        headroom: 1.5 for half as much again of memory and disk, which the planning advises.
    """

    replication: float = 3.0
    headroom: float = 1.0


def needs(cluster: Cluster) -> Mapping[str, pl.Expr]:
    """What is needed, by the name of its column in COSTS.

    Returns:
        Over USAGE: `core_hours`, `memory_gb_hours`, `disk_gb_hours`; null where neither samples nor
        series were measured.
    """
    samples = pl.col("samples_per_second").fill_null(0.0)
    held = pl.col("memory_series").fill_null(0.0) * cluster.replication
    active = pl.col("active_series").fill_null(0.0)
    queries = pl.col("queries_per_second").fill_null(0.0)
    hours = pl.col("covered_seconds") / SECONDS_PER_HOUR
    known = pl.any_horizontal(
        pl.col(name).is_not_null()
        for name in ("samples_per_second", "memory_series", "active_series", "queries_per_second")
    )
    cores = (
        samples / PER_DISTRIBUTOR
        + held / PER_INGESTER
        + active / PER_COMPACTOR
        + queries * sum(1 / per for per in PER_QUERY_CORE)
    )
    memory = (
        samples / PER_DISTRIBUTOR
        + held / PER_INGESTER * INGESTER_MEMORY_GB
        + active / PER_COMPACTOR * COMPACTOR_MEMORY_GB
        + queries * sum(1 / per for per in PER_QUERY_GB)
    )
    disk = (
        held / PER_INGESTER * INGESTER_DISK_GB
        + active / PER_COMPACTOR * COMPACTOR_DISK_GB
        + active * STORE_GATEWAY_DISK_GB
    )
    return {
        "core_hours": pl.when(known).then(cores * hours),
        "memory_gb_hours": pl.when(known).then(memory * hours * cluster.headroom),
        "disk_gb_hours": pl.when(known).then(disk * hours * cluster.headroom),
    }
