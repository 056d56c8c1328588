"""The metrics pages: Mimir's names and labels over what the processes counted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from simulator.backend_page import backend_families
from simulator.cluster import Cluster
from simulator.distributor_page import distributor_families
from simulator.exposition import family
from simulator.ingester_page import ingester_families
from simulator.limits import DEFAULTS, EXPORTED
from simulator.process_page import common_families
from simulator.processes import Distributor, Ingester, Process
from simulator.query_page import query_families
from simulator.querying import Querier, QueryFrontend


def metrics_page(cluster: Cluster, process: Process) -> str:
    """The whole page of one process."""
    own: Iterator[str]
    if isinstance(process, Distributor):
        own = distributor_families(process, replication_factor=cluster.plan.replication_factor)
    elif isinstance(process, Ingester):
        own = ingester_families(process)
    elif isinstance(process, QueryFrontend):
        own = query_families(process)
    elif isinstance(process, Querier):
        own = iter(())
    else:
        own = chain(
            _overrides_exporter(process),
            backend_families(cluster.plan.tenants, started_at=process.started_at, now=cluster.now),
        )
    return "".join((*own, *common_families(process)))


def _overrides_exporter(process: Process) -> Iterator[str]:
    overrides = process.config.current.overrides
    yield family(
        "cortex_limits_defaults",
        "gauge",
        "Limits of a tenant without overrides.",
        [(f'{{limit_name="{name}"}}', _number(DEFAULTS[name])) for name in EXPORTED],
    )
    yield family(
        "cortex_limits_overrides",
        "gauge",
        "Limits that differ from the default.",
        [
            (f'{{limit_name="{name}",user="{tenant}"}}', _number(limits[name]))
            for tenant, limits in overrides.items()
            for name in EXPORTED
            if name in limits and limits[name] != DEFAULTS[name]
        ],
    )


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0.0
