"""What a distributor and an ingester attribute to teams, on the page that is kept apart for it.

One tenant is shared: its series carry the label `team`, but for a part that lacks it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from simulator.exposition import family
from simulator.processes import Distributor, Ingester, Process

PATH: Final = "usage-metrics"
SHARED: Final = {"diurnal-1": {"payments": 0.5, "search": 0.3, "__missing__": 0.2}}
"""The part of each team, by tenant."""


def attribution_page(process: Process) -> str:
    """The whole page; empty for a process that attributes nothing."""
    own: Iterator[str] = iter(())
    if isinstance(process, Distributor):
        received = {
            name: tenant.received_requests * tenant.samples_per_request
            for name, tenant in process.tenants.items()
            if tenant.latest_seen is not None
        }
        own = _families(
            "cortex_distributor_received_attributed_samples_total", received, counted=True
        )
    elif isinstance(process, Ingester):
        active = {name: tenant.active for name, tenant in process.tenants.items()}
        own = _families("cortex_ingester_attributed_active_series", active, counted=False)
    return "".join(own)


def _families(name: str, of_tenants: Mapping[str, float], *, counted: bool) -> Iterator[str]:
    yield family(
        name,
        "counter" if counted else "gauge",
        "Samples received by team." if counted else "Active series by team.",
        [
            (f'{{team="{team}",tenant="{tenant}",tracker="cost-attribution"}}', had * part // 1)
            for tenant, had in of_tenants.items()
            for team, part in SHARED.get(tenant, {}).items()
        ],
    )
