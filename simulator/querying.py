"""The read path: queries wait in a fair queue, queriers answer what they can, the rest is refused.

A tenant asks in proportion to its size, and most at 14:00 UTC. Nothing is read: a query costs
time and memory, and tells what it would have fetched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from simulator.ledger import Account
from simulator.processes import QUERY_FRONTEND, Process
from simulator.runtime_config import RuntimeConfig
from simulator.sizes import (
    BYTES_PER_QUERY_PER_SECOND,
    CORE_SECONDS_PER_QUERY,
    SAMPLES_PER_SECOND_PER_QUERY,
    SMALL,
    Size,
)
from simulator.tenants import Tenant

SECONDS_PER_QUERY: Final = 0.2
MOST_WAITING: Final = 100  # queries of a tenant; Mimir's max_outstanding_requests_per_tenant


class TenantOnFrontend:
    """Queries of one tenant since the process started.

    Attributes:
        asked, answered, refused: how many; the last, because its queue was full.
        waiting: in the queue now.
    """

    __slots__ = ("_begun", "answered", "asked", "refused", "series_per_query", "waiting")

    def __init__(self, tenant: Tenant) -> None:
        self._begun = 0.0
        self.series_per_query = 20.0 + tenant.series // 500.0
        self.asked = self.answered = self.refused = 0
        self.waiting = 0

    def ask(self, queries: float) -> None:
        """Put so many more into the queue, whole ones only."""
        self._begun += queries
        new = int(self._begun)
        self._begun -= new
        self.asked += new
        self.waiting += new

    def answer(self, most: float) -> int:
        """Answer what there is time for; how many those were."""
        answered = min(self.waiting, int(most))
        self.answered += answered
        self.waiting -= answered
        return answered

    def refuse(self) -> int:
        """Refuse what finds no place in the queue; how many those were."""
        refused = max(0, self.waiting - MOST_WAITING)
        self.refused += refused
        self.waiting -= refused
        return refused

    def restart(self) -> None:
        """Begin the counters again, with an empty queue."""
        self.asked = self.answered = self.refused = self.waiting = 0


class Querier(Process):
    """Answers queries; its cores say how many."""

    @property
    def queries_per_second(self) -> float:
        """What it can answer."""
        return self.size.cores / CORE_SECONDS_PER_QUERY

    def settle(self, queries: float, *, seconds: float) -> None:
        """Account for a step in which so many were answered."""
        per_second = queries / seconds
        self.spend(
            cores=per_second * CORE_SECONDS_PER_QUERY,
            resident_bytes=per_second * BYTES_PER_QUERY_PER_SECOND,
            seconds=seconds,
        )


class QueryFrontend(Process):
    """Where queries come in and wait; `tenants` by name."""

    def __init__(
        self,
        tenants: Sequence[Tenant],
        *,
        config: RuntimeConfig,
        now: float,
        size: Size = SMALL,
    ) -> None:
        super().__init__(QUERY_FRONTEND, config=config, now=now, size=size)
        self.tenants = {tenant.name: TenantOnFrontend(tenant) for tenant in tenants}

    def step(
        self,
        asked: Mapping[str, float],
        *,
        queriers: Sequence[Querier],
        accounts: Mapping[str, Account],
        seconds: float,
    ) -> None:
        """Let queries come in and the queriers that are up answer, each tenant in its turn.

        Args:
            asked: new queries by tenant.
            queriers: those that are up; a tenant may be held to some of them.
            accounts: where it is booked, by tenant.
            seconds: how long the step is.
        """
        each = [querier.queries_per_second * seconds for querier in queriers]
        left = sum(each)
        for name, queries in asked.items():
            self.tenants[name].ask(queries)
            accounts[name].queries += queries
        # Who waits for least is served first; so an equal part of what is left is never too little.
        in_turn = sorted(self.tenants, key=lambda name: self.tenants[name].waiting)
        answered = 0
        for done, name in enumerate(in_turn):
            fair = left / (len(in_turn) - done)
            served = self.tenants[name].answer(min(fair, self._allowed(name, each)))
            accounts[name].queries_refused += self.tenants[name].refuse()
            left -= served
            answered += served
        for querier, part in zip(queriers, each, strict=True):
            querier.settle(answered * part / sum(each), seconds=seconds)

    def restart(self, now: float) -> None:
        """Begin the counters again; what waited is lost."""
        super().restart(now)
        for tenant in self.tenants.values():
            tenant.restart()

    def _allowed(self, tenant: str, each: Sequence[float]) -> float:
        """What the queriers that the tenant may use can answer; 0 is all of them."""
        most = int(self.config.current.number(tenant, "max_queriers_per_tenant"))
        return sum(each[:most] if most > 0 else each)


def queries_per_second(tenant: Tenant) -> float:
    """What the tenant asks when people are busiest."""
    return tenant.samples_per_second / SAMPLES_PER_SECOND_PER_QUERY
