"""How a tenant's samples and series spread over the processes: nearly even, never quite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simulator.noise import unit
from simulator.tenants import Tenant

_DISTRIBUTOR_SKEW: Final = 0.04
_INGESTER_SKEW: Final = 0.03


def distributor_shares(tenant: Tenant, *, count: int) -> list[float]:
    """The share of the tenant's samples that each distributor receives; they add up to 1."""
    return _uneven(tenant.key, count=count, skew=_DISTRIBUTOR_SKEW)


def ingester_shares(tenant: Tenant, *, count: int, replication_factor: int) -> Sequence[float]:
    """The share of the tenant's series that each ingester holds; they add up to the replicas.

    With as many ingesters as replicas every ingester holds every series.
    """
    if count <= replication_factor:
        return [1.0] * count
    parts = _uneven(tenant.key + 1, count=count, skew=_INGESTER_SKEW)
    return [min(1.0, part * replication_factor) for part in parts]


def _uneven(key: int, *, count: int, skew: float) -> list[float]:
    weights = [1.0 + skew * (2.0 * unit(key, index) - 1.0) for index in range(count)]
    whole = sum(weights)
    return [weight / whole for weight in weights]
