"""One step of the write path: what tenants send, through the distributors, into the ingesters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from simulator.ingester import Explosion
from simulator.ledger import Account
from simulator.processes import Distributor, Ingester
from simulator.tenants import Tenant


class Load(NamedTuple):
    """What a tenant asks of the whole cluster at one moment, per second but for `series`.

    Attributes:
        samples: of the series that it has.
        series: that it sends at once.
        new_series: that nobody has seen before, with a sample each.
        queries: that it asks.
    """

    samples: float
    series: float
    new_series: float
    queries: float


class _Arrived(NamedTuple):
    """Samples of one tenant that passed the distributors in a step."""

    known: float
    exploded: float


def ingest(
    loads: Mapping[Tenant, Load],
    *,
    distributors: Sequence[Distributor],
    ingesters: Sequence[Ingester],
    accounts: Mapping[str, Account],
    now: float,
    seconds: float,
) -> None:
    """Meter and store a step's samples, by the processes that are up, and book what was lost.

    Args:
        loads: what each tenant sends.
        distributors: those that are up; what a tenant sends spreads over them.
        ingesters: those that are up.
        accounts: by tenant.
        now: the end of the step, Unix seconds.
        seconds: how long it is.
    """
    arrived = _meter(loads, distributors, accounts=accounts, now=now, seconds=seconds)
    stored = dict.fromkeys((one.name for one in ingesters), 0.0)
    for tenant, load in loads.items():
        came = arrived[tenant.name]
        account = accounts[tenant.name]
        if not ingesters:
            account.overloaded += came.known + came.exploded
            continue
        refused = []
        for ingester in ingesters:
            before = ingester.tenants[tenant.name].rejected
            stored[ingester.name] += _store(
                tenant, load, came, ingester=ingester, now=now, seconds=seconds
            )
            replica = ingester.tenants[tenant.name]
            refused.append((replica.rejected - before) / replica.share)
        # A sample is lost where no replica of it was stored.
        account.limited += min(refused)
        account.overloaded += (came.known + came.exploded) * min(
            ingester.refusing for ingester in ingesters
        )
    for ingester in ingesters:
        ingester.settle(stored[ingester.name], seconds=seconds)


def _meter(
    loads: Mapping[Tenant, Load],
    distributors: Sequence[Distributor],
    *,
    accounts: Mapping[str, Account],
    now: float,
    seconds: float,
) -> dict[str, _Arrived]:
    """What passes the distributors, by tenant."""
    sent: dict[str, dict[str, float]] = {one.name: {} for one in distributors}
    for tenant, load in loads.items():
        wanted = (load.samples + load.new_series) * seconds
        for one, share in zip(distributors, _shares(tenant, distributors), strict=True):
            sent[one.name][tenant.name] = wanted * share
    for one in distributors:
        one.healthy = len(distributors)
        one.brace(sent[one.name], now=now, seconds=seconds)

    received = dict.fromkeys(sent, 0)
    arrived = {}
    for tenant, load in loads.items():
        account = accounts[tenant.name]
        wanted = (load.samples + load.new_series) * seconds
        account.asked += wanted
        passed = 0
        for one in distributors:
            samples = sent[one.name][tenant.name]
            admitted = one.push(tenant.name, samples=samples, now=now, seconds=seconds)
            received[one.name] += admitted
            passed += admitted
            account.limited += one.tenants[tenant.name].dropped
            account.overloaded += samples * one.refusing
        if not distributors:
            account.overloaded += wanted
        account.admitted += passed
        exploded = passed * load.new_series * seconds / wanted if wanted else 0.0
        arrived[tenant.name] = _Arrived(passed - exploded, exploded)
    for one in distributors:
        one.settle(received[one.name], offered=sum(sent[one.name].values()), seconds=seconds)
    return arrived


def _shares(tenant: Tenant, distributors: Sequence[Distributor]) -> list[float]:
    """The part of the tenant's samples that each of those that are up receives."""
    parts = [one.share(tenant.name) for one in distributors]
    whole = sum(parts)
    return [part / whole for part in parts]


def _store(
    tenant: Tenant,
    load: Load,
    came: _Arrived,
    *,
    ingester: Ingester,
    now: float,
    seconds: float,
) -> float:
    """What one ingester stores of the tenant's samples."""
    taken = 1.0 - ingester.refusing
    replica = ingester.tenants[tenant.name]
    if ingester.refusing:
        pushed = (came.known + came.exploded) * replica.share
        ingester.rejected_requests += pushed * ingester.refusing / tenant.samples_per_request
    series = load.series if came.known else None
    return replica.ingest(
        samples=came.known * taken,
        series=0.0 if load.samples == 0.0 else series,
        limit=ingester.local_limit(tenant.name),
        now=now,
        seconds=seconds,
        explosion=Explosion(
            series=came.exploded * taken,
            metric_limit=ingester.local_limit(tenant.name, limit="max_global_series_per_metric"),
        )
        if came.exploded
        else None,
    )
