"""What the processes of Mimir use of what they may: CPU, memory, disk, network, their own limits.

Two views are put together: what each process tells of itself, and what its cluster tells of it
(`policy.cluster_resources`). What neither measures is null or has no row; it is never a zero.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from policy import scrape as families
from policy.frames import READINGS
from policy.rates import rates
from policy.scrape import RESOURCE_FAMILIES, Scrape

# One row per pod and resource. `used` is null where only the limit is known. `limit` is null
# where there is none, or none is known: either way nothing can be said of how full it is.
# `component` is null where neither the pod's name nor its page tells.
RESOURCES: Final = pl.Schema(
    {
        "pod": pl.String(),
        "component": pl.String(),
        "resource": pl.String(),
        "used": pl.Float64(),
        "limit": pl.Float64(),
    }
)

UP: Final = "up"  # 1 when its page was read, else 0
CPU: Final = "cpu_cores"
MEMORY: Final = "memory_bytes"
HEAP: Final = "heap_live_bytes"  # what the newest collection of garbage left; of GOMEMLIMIT
DISK: Final = "disk_bytes"  # of its volume, the biggest where there are several
NETWORK_IN: Final = "network_receive_bytes_per_second"
NETWORK_OUT: Final = "network_transmit_bytes_per_second"
UPTIME: Final = "uptime_seconds"
RESTARTS: Final = "restarts"  # since the look before, by the time at which the process started
CONTAINER_RESTARTS: Final = "container_restarts"  # in the last 15 minutes, by Kubernetes
OOM_KILLED: Final = "oom_killed"  # 1 when its container ended last for want of memory
REJECTED: Final = "rejected_per_second"  # requests, by the process's own limits

# The limits of a process as a whole, each with what it bounds.
_BOUNDED: Final = {
    (families.DISTRIBUTOR_LIMITS, "max_inflight_push_requests"): families.DISTRIBUTOR_INFLIGHT,
    (
        families.DISTRIBUTOR_LIMITS,
        "max_inflight_push_requests_bytes",
    ): families.DISTRIBUTOR_INFLIGHT_BYTES,
    (families.DISTRIBUTOR_LIMITS, "max_ingestion_rate"): families.DISTRIBUTOR_INGESTION,
    (families.INGESTER_LIMITS, "max_inflight_push_requests"): families.INGESTER_INFLIGHT,
    (
        families.INGESTER_LIMITS,
        "max_inflight_push_requests_bytes",
    ): families.INGESTER_INFLIGHT_BYTES,
    (families.INGESTER_LIMITS, "max_ingestion_rate"): families.INGESTER_INGESTION,
    (families.INGESTER_LIMITS, "max_series"): families.INGESTER_SERIES,
    (families.INGESTER_LIMITS, "max_tenants"): families.INGESTER_TENANTS,
}
INSTANCE: Final = {
    used: f"{limits.removeprefix('cortex_').removesuffix('_instance_limits')}_{name}"
    for (limits, name), used in _BOUNDED.items()
}
"""The resource that a family measures: `distributor_max_inflight_push_requests` and the like."""

COMPONENTS: Final = (
    "alertmanager",
    "compactor",
    "distributor",
    "ingester",
    "overrides-exporter",
    "querier",
    "query-frontend",
    "query-scheduler",
    "ruler-querier",
    "ruler-query-frontend",
    "ruler-query-scheduler",
    "ruler",
    "store-gateway",
    "usage-tracker",
)

_LEVELS: Final = {families.RESIDENT_BYTES: MEMORY, families.LIVE_BYTES: HEAP}
# Go prints its largest whole number where no GOMEMLIMIT is set.
_NO_LIMIT_BYTES: Final = 2.0**62
_RATES: Final = {
    families.CPU_SECONDS: CPU,
    families.NETWORK_RECEIVED: NETWORK_IN,
    families.NETWORK_SENT: NETWORK_OUT,
    families.DISTRIBUTOR_REJECTED: REJECTED,
    families.INGESTER_REJECTED: REJECTED,
}
# A start time is told to a hundredth, and reckoned from a clock that may be set.
_SAME_START_SECONDS: Final = 1.0


def resources(current: Scrape, previous: Scrape | None = None) -> pl.DataFrame:
    """What the processes told of themselves.

    Args:
        current: the newest scrape.
        previous: the one before it; without it there are no rates and no restarts.

    Returns:
        RESOURCES.
    """
    readings = _own(current)
    rows = [_reached(current), _levels(readings), _instance_limits(readings), _uptime(readings)]
    if previous is not None:
        before = _own(previous)
        rows += [_rates(readings, before), _restarts(readings, before)]
    # polars' sum of nothing is zero; where nothing was measured it has to stay null.
    told = (
        pl.concat(rows)
        .group_by("pod", "resource")
        .agg(
            pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name)
            for name in ("used", "limit")
        )
    )
    return (
        told.join(_components(readings), on="pod", how="left")
        .with_columns(pl.coalesce(_named_component(), "component").alias("component"))
        .select(RESOURCES.names())
        .sort("pod", "resource")
    )


def together(own: pl.DataFrame, cluster: pl.DataFrame) -> pl.DataFrame:
    """What the processes and their cluster told, in one table.

    What is used is the process's own word, which is newer; a limit is the cluster's, which
    enforces it. A process that is known by its address only is the pod that its host names.

    Args:
        own: RESOURCES of the processes themselves.
        cluster: RESOURCES by their cluster, by the name of the pod.

    Returns:
        RESOURCES of every pod that either knows.
    """
    host = pl.col("pod").str.extract(r"^[a-z]+://([^.:/\[]+)")
    known = own.select("pod", kubernetes=pl.coalesce(host, "pod")).unique()
    renamed = (
        cluster.join(known, left_on="pod", right_on="kubernetes", how="left", suffix="_known")
        .with_columns(pl.coalesce("pod_known", "pod").alias("pod"))
        .select(RESOURCES.names())
    )
    return (
        own.join(renamed, on=["pod", "resource"], how="full", coalesce=True, suffix="_cluster")
        .with_columns(
            pl.coalesce("used", "used_cluster").alias("used"),
            pl.coalesce("limit_cluster", "limit").alias("limit"),
            pl.coalesce("component_cluster", "component").alias("component"),
        )
        .with_columns(
            pl.col("component").fill_null(pl.col("component").drop_nulls().first().over("pod"))
        )
        .select(RESOURCES.names())
        .sort("pod", "resource")
    )


def _own(scrape: Scrape) -> pl.DataFrame:
    return scrape.readings.filter(pl.col("family").is_in(RESOURCE_FAMILIES))


def _rows(frame: pl.DataFrame, *, resource: pl.Expr, used: pl.Expr, limit: pl.Expr) -> pl.DataFrame:
    return frame.select(
        pl.col("pod").cast(pl.String),
        resource.alias("resource"),
        used.cast(pl.Float64).alias("used"),
        limit.cast(pl.Float64).alias("limit"),
    )


def _reached(scrape: Scrape) -> pl.DataFrame:
    pods = (*scrape.answered, *scrape.failed)
    ups = [1.0] * len(scrape.answered) + [0.0] * len(scrape.failed)
    frame = pl.DataFrame({"pod": pods, "up": ups}, schema={"pod": pl.String(), "up": pl.Float64()})
    return _rows(frame, resource=pl.lit(UP), used=pl.col("up"), limit=pl.lit(None))


def _levels(readings: pl.DataFrame) -> pl.DataFrame:
    levels = readings.filter(pl.col("family").is_in(_LEVELS))
    cores = readings.filter(pl.col("family") == families.CORES_USED_AT_ONCE)
    heaps = readings.filter(
        pl.col("family") == families.MEMORY_LIMIT, pl.col("value") < _NO_LIMIT_BYTES
    )
    return pl.concat(
        [
            _rows(
                levels,
                resource=pl.col("family").replace_strict(_LEVELS),
                used=pl.col("value"),
                limit=pl.lit(None),
            ),
            # Go runs on no more cores at once, whatever its cluster would let it have.
            _rows(cores, resource=pl.lit(CPU), used=pl.lit(None), limit=pl.col("value")),
            _rows(heaps, resource=pl.lit(HEAP), used=pl.lit(None), limit=pl.col("value")),
        ]
    )


def _instance_limits(readings: pl.DataFrame) -> pl.DataFrame:
    """What a limit of the process bounds, and the limit: 0 is Mimir's word for none."""
    bounds = pl.DataFrame(
        [(family, limit, INSTANCE[used]) for (family, limit), used in _BOUNDED.items()],
        schema={"family": READINGS["family"], "limit": READINGS["limit"], "resource": pl.String()},
        orient="row",
    )
    limits = readings.join(bounds, on=["family", "limit"]).filter(pl.col("value") > 0)
    used = readings.filter(pl.col("family").is_in(INSTANCE))
    return pl.concat(
        [
            _rows(limits, resource=pl.col("resource"), used=pl.lit(None), limit=pl.col("value")),
            _rows(
                used,
                resource=pl.col("family").replace_strict(INSTANCE),
                used=pl.col("value"),
                limit=pl.lit(None),
            ),
        ]
    )


def _uptime(readings: pl.DataFrame) -> pl.DataFrame:
    started = readings.filter(pl.col("family") == families.STARTED)
    running = (pl.col("at").dt.epoch("ms") / 1000 - pl.col("value")).clip(0)
    return _rows(started, resource=pl.lit(UPTIME), used=running, limit=pl.lit(None))


def _rates(readings: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    found = rates(before, readings, families=_RATES)
    return _rows(
        found,
        resource=pl.col("family").replace_strict(_RATES, return_dtype=pl.String),
        used=pl.col("per_second"),
        limit=pl.lit(None),
    )


def _restarts(readings: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    started = pl.col("family") == families.STARTED
    both = readings.filter(started).join(
        before.filter(started).select("pod", earlier="value"), on="pod"
    )
    restarted = (pl.col("value") - pl.col("earlier")) > _SAME_START_SECONDS
    return _rows(both, resource=pl.lit(RESTARTS), used=restarted, limit=pl.lit(None))


def _named_component() -> pl.Expr:
    """The component in the name of the pod or its host; the longest name counts."""
    names = "|".join(sorted(COMPONENTS, key=len, reverse=True))
    return pl.col("pod").str.extract(rf"(?:^|[-/.])({names})(?:[-.:/]|$)")


def _components(readings: pl.DataFrame) -> pl.DataFrame:
    """The component by what is on the page: rulers and queriers have a distributor in them."""
    has = pl.col("family")
    told = readings.group_by("pod").agg(
        (has == families.INGESTER_SERIES).any().alias("ingester"),
        (has == families.DISTRIBUTOR_INFLIGHT).any().alias("distributor"),
    )
    kind = (
        pl.when(pl.col("ingester") & pl.col("distributor"))
        .then(pl.lit("all"))
        .when("ingester")
        .then(pl.lit("ingester"))
    )
    return told.select(pl.col("pod").cast(pl.String), kind.alias("component"))
