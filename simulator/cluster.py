"""The simulated cluster: it lives on a clock that is passed in, and catches up when asked.

Nothing happens between two calls of `advance`, so whoever wants the runtime file noticed in
time calls it every second; the server does. Instance limits are shown and never enforced, but
CPU and memory are: who has no core left refuses pushes, and who holds too much memory crashes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simulator.errors import SimulatorError
from simulator.faults import BLAST_KINDS, EXPLOSION_SECONDS, FAULT_KINDS, Blast, BlastKind, Fault
from simulator.habits import Moment, busy
from simulator.ingestion import Load, ingest
from simulator.ledger import Account
from simulator.processes import (
    OVERRIDES_EXPORTER,
    Distributor,
    Ingester,
    Process,
    first_tick,
    process_names,
)
from simulator.querying import Querier, QueryFrontend, queries_per_second
from simulator.runtime_config import RuntimeConfig
from simulator.sizes import HEADROOM, SMALL, Size, sizes
from simulator.tenants import Tenant

_STEP_SECONDS: Final = 1.0
# After a long silence the steps grow, so catching up stays cheap.
_MAX_STEPS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to simulate.

    Attributes:
        tenants: see `simulator.tenants.roster`.
        runtime_files: merged left to right; all must exist.
        seed: of the phases of the processes; the tenants carry their own.
        blast_after_seconds: the age at which blasting tenants blast first.
        faults: in force from the start.
        headroom: how many times what the tenants usually need fits into the processes.
        smallest: what a process has at the least.
    """

    tenants: Sequence[Tenant]
    runtime_files: Sequence[Path]
    seed: int = 1
    distributors: int = 2
    ingesters: int = 3
    queriers: int = 2
    replication_factor: int = 3
    reload_period_seconds: float = 10.0
    blast_after_seconds: float = 60.0
    faults: Sequence[Fault] = ()
    headroom: float = HEADROOM
    smallest: Size = SMALL

    @property
    def counts(self) -> dict[str, int]:
        """How many processes there are of each component that may have several."""
        return {
            "distributor": self.distributors,
            "ingester": self.ingesters,
            "querier": self.queriers,
        }


class Cluster:
    """Distributors, ingesters, a read path and an overrides-exporter, and what goes through them.

    Attributes:
        plan: what it was built from.
        now: the moment it has caught up to, in Unix seconds.
        processes: all of them by name.
        accounts: what really became of what each tenant sent.

    Raises:
        SimulatorError: the runtime files do not load, or a fault names no process.
    """

    def __init__(self, plan: Plan, *, clock: Callable[[], float]) -> None:
        self.plan = plan
        self._clock = clock
        self.started_at = self.now = clock()
        self._blasts: dict[tuple[str, BlastKind], Blast] = {}
        self._faults: dict[tuple[str, str], float] = {}
        self._sizes = sizes(
            plan.tenants,
            headroom=plan.headroom,
            smallest=plan.smallest,
            counts=plan.counts,
            replication_factor=plan.replication_factor,
        )
        self.accounts = {tenant.name: Account() for tenant in plan.tenants}
        self.distributors = [self._distributor(index) for index in range(plan.distributors)]
        self.ingesters = [self._ingester(index) for index in range(plan.ingesters)]
        self.queriers = [self._querier(index) for index in range(plan.queriers)]
        self.frontend = QueryFrontend(
            plan.tenants, config=self._config("query-frontend"), now=self.now
        )
        exporter = Process(
            OVERRIDES_EXPORTER, config=self._config(OVERRIDES_EXPORTER), now=self.now
        )
        everyone: list[Process] = [
            *self.distributors,
            *self.ingesters,
            *self.queriers,
            self.frontend,
            exporter,
        ]
        self.processes = {process.name: process for process in everyone}
        for fault in plan.faults:
            self.inject(fault)

    def advance(self) -> None:
        """Live on until the clock's present, a second at a time."""
        behind = self._clock() - self.now
        step = max(_STEP_SECONDS, behind / _MAX_STEPS)
        while behind >= step:
            self._step(step)
            behind -= step

    def inject(self, fault: Fault) -> None:
        """Break a process, or restart it.

        Raises:
            SimulatorError: there is no such process or kind of fault.
        """
        process = self._known(fault.process)
        if fault.kind not in FAULT_KINDS:
            raise SimulatorError(f"unknown fault {fault.kind!r}; known: {', '.join(FAULT_KINDS)}")
        if fault.kind == "reset":
            process.restart(self.now)
            return
        if fault.kind == "crash":
            process.crash(self.now, **({} if fault.seconds is None else {"seconds": fault.seconds}))
            return
        until = float("inf") if fault.seconds is None else self.now + fault.seconds
        self._faults[fault.process, fault.kind] = until

    def mend(self, process: str) -> None:
        """Clear every fault of a process.

        Raises:
            SimulatorError: there is no such process.
        """
        self._known(process)
        self._faults = {key: until for key, until in self._faults.items() if key[0] != process}

    def suffers(self, process: str, *, fault: str) -> bool:
        """Whether the fault is in force on the process now; who is down is unreachable."""
        down = fault == "unreachable" and self.processes[process].down_until > self.now
        return down or self._faults.get((process, fault), 0.0) > self.now

    def blast(
        self, tenant: str, *, factor: float, seconds: float, kind: BlastKind = "samples"
    ) -> None:
        """Let a tenant ask for `factor` times its usual for a while.

        Raises:
            SimulatorError: there is no such tenant or kind, or the numbers are not positive.
        """
        if all(known.name != tenant for known in self.plan.tenants):
            raise SimulatorError(f"there is no tenant {tenant!r}")
        if kind not in BLAST_KINDS:
            raise SimulatorError(f"unknown blast {kind!r}; known: {', '.join(BLAST_KINDS)}")
        if factor <= 0 or seconds <= 0:
            raise SimulatorError("a blast needs a factor and seconds above 0")
        self._blasts[tenant, kind] = Blast(factor=factor, until=self.now + seconds, kind=kind)

    def calm(self) -> None:
        """End every blast that was ordered, and clear every fault."""
        self._blasts.clear()
        self._faults.clear()

    def _known(self, name: str) -> Process:
        if name not in self.processes:
            plan = self.plan
            names = process_names(
                distributors=plan.distributors, ingesters=plan.ingesters, queriers=plan.queriers
            )
            raise SimulatorError(f"there is no process {name!r}; known: {', '.join(names)}")
        return self.processes[name]

    def _config(self, name: str) -> RuntimeConfig:
        period = self.plan.reload_period_seconds
        tick = first_tick(name, seed=self.plan.seed, now=self.now, period_seconds=period)
        return RuntimeConfig(self.plan.runtime_files, period_seconds=period, first_tick=tick)

    def _distributor(self, index: int) -> Distributor:
        distributor = Distributor(
            index,
            count=self.plan.distributors,
            config=self._config(f"distributor-{index}"),
            now=self.now,
            size=self._sizes["distributor"],
        )
        distributor.admit(self.plan.tenants, now=self.now)
        return distributor

    def _ingester(self, index: int) -> Ingester:
        count, replication_factor = self.plan.ingesters, self.plan.replication_factor
        ingester = Ingester(
            index,
            config=self._config(f"ingester-{index}"),
            now=self.now,
            replicas=min(1.0, replication_factor / count),
            size=self._sizes["ingester"],
        )
        ingester.admit(
            self.plan.tenants, now=self.now, count=count, replication_factor=replication_factor
        )
        return ingester

    def _querier(self, index: int) -> Querier:
        name = f"querier-{index}"
        return Querier(name, config=self._config(name), now=self.now, size=self._sizes["querier"])

    def _step(self, seconds: float) -> None:
        """Live one step: reload, send, meter, store, query; who holds too much memory crashes."""
        self.now += seconds
        for process in self.processes.values():
            refuse = self.suffers(process.name, fault="refuse_reload")
            process.config.tick(self.now, refuse=refuse)

        moment = Moment(self.now, self.now - self.started_at, self.plan.blast_after_seconds)
        loads = {tenant: self._load(tenant, moment=moment) for tenant in self.plan.tenants}
        ingest(
            loads,
            distributors=[one for one in self.distributors if one.down_until <= self.now],
            ingesters=[one for one in self.ingesters if one.down_until <= self.now],
            accounts=self.accounts,
            now=self.now,
            seconds=seconds,
        )
        self._query({tenant.name: load.queries for tenant, load in loads.items()}, seconds=seconds)

        for process in self.processes.values():
            if process.out_of_memory:
                process.crash(self.now)

    def _query(self, asked_per_second: dict[str, float], *, seconds: float) -> None:
        if self.frontend.down_until > self.now:
            return
        self.frontend.step(
            {name: per_second * seconds for name, per_second in asked_per_second.items()},
            queriers=[one for one in self.queriers if one.down_until <= self.now],
            accounts=self.accounts,
            seconds=seconds,
        )

    def _load(self, tenant: Tenant, *, moment: Moment) -> Load:
        """What the tenant asks for: its habit, times the blasts that it was told to make."""
        samples, series = tenant.demand(moment)
        more = self._factor(tenant, kind="samples")
        exploding = self._factor(tenant, kind="series") - 1.0
        return Load(
            samples=samples * more,
            series=series * more,
            new_series=max(0.0, exploding) * tenant.series / EXPLOSION_SECONDS,
            queries=queries_per_second(tenant)
            * busy(moment.at)
            * self._factor(tenant, kind="queries"),
        )

    def _factor(self, tenant: Tenant, *, kind: BlastKind) -> float:
        blast = self._blasts.get((tenant.name, kind))
        return 1.0 if blast is None or blast.until <= self.now else blast.factor
