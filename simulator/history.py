"""A past for the simulated tenants that their present continues.

The rows tell demand, before any limit, from the same functions of time as the live cluster:
a history that ends at the moment the cluster starts joins it without a step. Nothing in the
past was throttled, and no blast happened before the cluster started.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from simulator.errors import SimulatorError
from simulator.habits import Moment, busy
from simulator.querying import queries_per_second
from simulator.shares import distributor_shares
from simulator.tenants import ACTIVE_IDLE_SECONDS, COMPACTION_SECONDS, Tenant


class Past(NamedTuple):
    """What one tenant asked of the cluster at one moment, of the cluster as a whole.

    Attributes:
        at: aware, UTC.
        samples_per_second: demand before the limiter.
        busiest_distributor_samples_per_second: the largest share of it on one distributor.
        series: in memory, one replica.
        active_series: with a sample in the last 20 minutes, one replica.
        new_series_per_second: that replace others, one replica.
        queries_per_second: that people ask.
    """

    at: datetime
    tenant: str
    samples_per_second: float
    busiest_distributor_samples_per_second: float
    series: float
    active_series: float
    new_series_per_second: float
    queries_per_second: float


def history(
    *,
    tenants: Sequence[Tenant],
    until: datetime,
    days: int,
    step_seconds: int = 300,
    distributors: int = 2,
) -> Iterator[Past]:
    """Tell the past up to and without `until`, oldest first, tenants in order at each step.

    Args:
        tenants: the roster; each carries its own noise.
        until: the moment the cluster starts, aware.
        days: how far back.
        step_seconds: between two rows of a tenant.
        distributors: how many share the samples.

    Raises:
        SimulatorError: `until` has no time zone, or the step is not positive.
    """
    if until.tzinfo is None:
        raise SimulatorError("history ends at an aware time: give `until` a time zone")
    if step_seconds < 1:
        raise SimulatorError(f"step_seconds must be at least 1, not {step_seconds}")

    busiest = [max(distributor_shares(tenant, count=distributors)) for tenant in tenants]
    origin = until.timestamp()
    steps = days * 86_400 // step_seconds
    for back in range(steps, 0, -1):
        age_seconds = -float(back * step_seconds)
        moment = Moment(origin + age_seconds, age_seconds, 0.0)
        at = until + timedelta(seconds=age_seconds)
        for tenant, share in zip(tenants, busiest, strict=True):
            rate, series = tenant.demand(moment)
            yield Past(
                at,
                tenant.name,
                rate,
                rate * share,
                memory_series(tenant, series=series, at=moment.at),
                active_series(tenant, series=series) if rate > 0.0 else 0.0,
                series * tenant.churn_per_second if rate > 0.0 else 0.0,
                queries_per_second(tenant) * busy(moment.at),
            )


def memory_series(tenant: Tenant, *, series: float, at: float) -> float:
    """Series in memory when `series` are being sent: those, and the churned ones not compacted."""
    churning_for_seconds = COMPACTION_SECONDS + at % COMPACTION_SECONDS
    return series * (1.0 + tenant.churn_per_second * churning_for_seconds)


def active_series(tenant: Tenant, *, series: float) -> float:
    """Series with a recent sample: those being sent, and the ones replaced a moment ago."""
    return series * (1.0 + tenant.churn_per_second * ACTIVE_IDLE_SECONDS)
