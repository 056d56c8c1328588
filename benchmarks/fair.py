"""The fair share of a simulated tenant: the most it asks for around this hour, and a margin.

The margin is the breaker's own. The most comes from the tenant's habit, so it is right whatever
protection believes is usual.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from policy.settings import Settings
from simulator.habits import Moment, busy
from simulator.history import memory_series
from simulator.querying import queries_per_second
from simulator.tenants import COMPACTION_SECONDS, Tenant

STEP_SECONDS: Final = 15.0
AHEAD_SECONDS: Final = 3_600.0


class Fair(NamedTuple):
    """What a tenant may have at any time: samples/s, series in memory, queries/s."""

    samples: float
    series: float
    queries: float


def fair_share(tenant: Tenant, *, now: float, began: float) -> Fair:
    """By the last two hours, in which what churns is compacted once, and the hour to come.

    Args:
        tenant: whose.
        now: Unix seconds.
        began: when the cluster started, Unix seconds.
    """
    margin = 1.0 + Settings().circuit_breaker.auto_config.safety_margins.default_margin / 100.0
    samples, series = zip(*_habit(tenant, now=now, began=began), strict=True)
    queries = queries_per_second(tenant) * busy(now)
    return Fair(max(samples) * margin, max(series) * margin, queries * margin)


def _habit(tenant: Tenant, *, now: float, began: float) -> Iterator[tuple[float, float]]:
    """Samples/s and series in memory, looked at every 15 s."""
    steps = int((COMPACTION_SECONDS + AHEAD_SECONDS) / STEP_SECONDS)
    for step in range(steps + 1):
        at = now - COMPACTION_SECONDS + step * STEP_SECONDS
        demand = tenant.demand(Moment(at, at - began, float("inf")))
        yield demand.samples_per_second, memory_series(tenant, series=demand.series, at=at)
