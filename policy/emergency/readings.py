"""What Mimir's processes use of what they may, as the emergency levels read it.

A share needs both what is used and a limit; where one of them is not known there is no reading,
which is not the same as a reading of zero, and nothing follows from it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

import polars as pl

from policy.resources import (
    CONTAINER_RESTARTS,
    CPU,
    DISK,
    HEAP,
    MEMORY,
    NETWORK_IN,
    NETWORK_OUT,
    OOM_KILLED,
    REJECTED,
    RESTARTS,
    UP,
    UPTIME,
)
from policy.signals import SAMPLES_ASKED

Resource = Literal["cpu", "memory", "disk", "network", "samples", "crash"]

SHARES: Final[Mapping[str, Resource]] = {
    CPU: "cpu",
    MEMORY: "memory",
    HEAP: "memory",
    DISK: "disk",
    NETWORK_IN: "network",
    NETWORK_OUT: "network",
}
_NETWORK: Final = (NETWORK_IN, NETWORK_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One measurement.

    Attributes:
        resource: of what.
        pod: of which process; empty for the cluster as a whole.
        component: what the process is; None where nothing tells.
        value: percent of what it may use; of `samples`, samples/s.
    """

    resource: Resource
    pod: str
    component: str | None
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at Mimir's processes told.

    Attributes:
        at: when, aware UTC.
        readings: at most one per process and resource.
        up: whether each process that is known answered.
        components: of the processes where it is told.
        uptime: how long each process runs.
        restarted: processes that started anew since the look before, by their own word.
        container_restarts: restarts of the last 15 minutes, by Kubernetes.
        oom_killed: processes whose container ended last for want of memory.
        rejected: requests/s that the processes refused by their own limits, all added up; None
            where no process tells.
    """

    at: datetime
    readings: tuple[Reading, ...] = ()
    up: Mapping[str, bool] = field(default_factory=dict)
    components: Mapping[str, str] = field(default_factory=dict)
    uptime: Mapping[str, timedelta] = field(default_factory=dict)
    restarted: frozenset[str] = frozenset()
    container_restarts: Mapping[str, float] = field(default_factory=dict)
    oom_killed: frozenset[str] = frozenset()
    rejected: float | None = None

    @property
    def measured(self) -> frozenset[Resource]:
        """The resources of which anything was measured."""
        return frozenset(reading.resource for reading in self.readings)


def look_of(
    resources: pl.DataFrame,
    *,
    samples: pl.DataFrame,
    at: datetime,
    network_bytes_per_second: float | None,
) -> Look:
    """A look as the levels read it.

    Args:
        resources: RESOURCES of this look.
        samples: SAMPLES of this look.
        at: when it was, aware UTC.
        network_bytes_per_second: what the network of a process carries where nothing tells it;
            None: then that stays unknown.
    """
    asked = samples.filter(pl.col("signal") == SAMPLES_ASKED, pl.col("value").is_finite())
    total = None if asked.is_empty() else float(asked["value"].sum())
    whole = [] if total is None else [_of_all(total)]
    used: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for resource, pod, value in (
        resources.select("resource", "pod", "used").drop_nulls().iter_rows()
    ):
        used[resource][pod] = value
    rejected = used[REJECTED]
    return Look(
        at=at,
        readings=(*_shares(resources, network_bytes_per_second), *whole),
        up={pod: is_up > 0 for pod, is_up in used[UP].items()},
        components=dict(resources.select("pod", "component").drop_nulls().iter_rows()),
        uptime={pod: timedelta(seconds=seconds) for pod, seconds in used[UPTIME].items()},
        restarted=frozenset(pod for pod, times in used[RESTARTS].items() if times > 0),
        container_restarts=used[CONTAINER_RESTARTS],
        oom_killed=frozenset(pod for pod, is_so in used[OOM_KILLED].items() if is_so),
        rejected=sum(rejected.values()) if rejected else None,
    )


def worst(look: Look) -> list[Reading]:
    """The fullest process of each component and resource, as the metrics show them."""
    found: dict[tuple[str, Resource], Reading] = {}
    for reading in look.readings:
        key = (reading.component or "", reading.resource)
        if reading.pod and (key not in found or found[key].value < reading.value):
            found[key] = reading
    return [found[key] for key in sorted(found)]


def _shares(resources: pl.DataFrame, network: float | None) -> list[Reading]:
    carried = pl.lit(network, dtype=pl.Float64)
    is_network = pl.col("resource").is_in(_NETWORK)
    limit = pl.when(is_network).then(pl.coalesce("limit", carried)).otherwise("limit")
    full = (
        resources.filter(pl.col("resource").is_in(list(SHARES)))
        .with_columns(limit=limit)
        .filter(pl.col("used").is_finite() & pl.col("limit").is_finite() & (pl.col("limit") > 0))
        # What ends a process is the limit of its container; GOMEMLIMIT is its own intention.
        .filter((pl.col("resource") != HEAP) | ~(pl.col("resource") == MEMORY).any().over("pod"))
        .with_columns(
            resource=pl.col("resource").replace_strict(dict(SHARES), return_dtype=pl.String),
            share=pl.col("used") / pl.col("limit") * 100,
        )
        .group_by("pod", "resource")
        .agg(pl.col("component").drop_nulls().first(), pl.col("share").max())
        .sort("pod", "resource")
    )
    return [
        Reading(resource=resource, pod=pod, component=component, value=share)
        for pod, resource, component, share in full.iter_rows()
    ]


def _of_all(samples_per_second: float) -> Reading:
    return Reading(resource="samples", pod="", component=None, value=samples_per_second)
