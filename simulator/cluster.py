"""The simulated cluster: it lives on a clock that is passed in, and catches up when asked.

Nothing happens between two calls of `advance`, so whoever wants the runtime file noticed in
time calls it every second; the server does. Instance limits are shown, never enforced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simulator.errors import SimulatorError
from simulator.faults import FAULT_KINDS, Blast, Fault
from simulator.habits import Moment
from simulator.processes import (
    OVERRIDES_EXPORTER,
    Distributor,
    Ingester,
    Process,
    first_tick,
    process_names,
)
from simulator.runtime_config import RuntimeConfig
from simulator.tenants import Demand, Tenant

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
    """

    tenants: Sequence[Tenant]
    runtime_files: Sequence[Path]
    seed: int = 1
    distributors: int = 2
    ingesters: int = 3
    replication_factor: int = 3
    reload_period_seconds: float = 10.0
    blast_after_seconds: float = 60.0
    faults: Sequence[Fault] = ()


class Cluster:
    """Distributors, ingesters and an overrides-exporter, and what goes through them.

    Attributes:
        plan: what it was built from.
        now: the moment it has caught up to, in Unix seconds.
        processes: all of them by name.

    Raises:
        SimulatorError: the runtime files do not load, or a fault names no process.
    """

    def __init__(self, plan: Plan, *, clock: Callable[[], float]) -> None:
        self.plan = plan
        self._clock = clock
        self.started_at = self.now = clock()
        self._blasts: dict[str, Blast] = {}
        self._faults: dict[tuple[str, str], float] = {}
        self.distributors = [self._distributor(index) for index in range(plan.distributors)]
        self.ingesters = [self._ingester(index) for index in range(plan.ingesters)]
        exporter = Process(
            OVERRIDES_EXPORTER, config=self._config(OVERRIDES_EXPORTER), now=self.now
        )
        everyone: list[Process] = [*self.distributors, *self.ingesters, exporter]
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
        """Whether the fault is in force on the process now."""
        return self._faults.get((process, fault), 0.0) > self.now

    def blast(self, tenant: str, *, factor: float, seconds: float) -> None:
        """Let a tenant send `factor` times its samples and series for a while.

        Raises:
            SimulatorError: there is no such tenant, or the numbers are not positive.
        """
        if all(known.name != tenant for known in self.plan.tenants):
            raise SimulatorError(f"there is no tenant {tenant!r}")
        if factor <= 0 or seconds <= 0:
            raise SimulatorError("a blast needs a factor and seconds above 0")
        self._blasts[tenant] = Blast(factor=factor, until=self.now + seconds)

    def _known(self, name: str) -> Process:
        if name not in self.processes:
            names = process_names(
                distributors=self.plan.distributors, ingesters=self.plan.ingesters
            )
            raise SimulatorError(f"there is no process {name!r}; known: {', '.join(names)}")
        return self.processes[name]

    def _config(self, name: str) -> RuntimeConfig:
        period = self.plan.reload_period_seconds
        tick = first_tick(name, seed=self.plan.seed, now=self.now, period_seconds=period)
        return RuntimeConfig(self.plan.runtime_files, period_seconds=period, first_tick=tick)

    def _distributor(self, index: int) -> Distributor:
        config = self._config(f"distributor-{index}")
        count = self.plan.distributors
        distributor = Distributor(index, count=count, config=config, now=self.now)
        distributor.admit(self.plan.tenants, now=self.now)
        return distributor

    def _ingester(self, index: int) -> Ingester:
        config = self._config(f"ingester-{index}")
        count, replication_factor = self.plan.ingesters, self.plan.replication_factor
        replicas = min(1.0, replication_factor / count)
        ingester = Ingester(index, config=config, now=self.now, replicas=replicas)
        ingester.admit(
            self.plan.tenants, now=self.now, count=count, replication_factor=replication_factor
        )
        return ingester

    def _step(self, seconds: float) -> None:
        """Live one step: reload, send, meter, store."""
        self.now += seconds
        for process in self.processes.values():
            refuse = self.suffers(process.name, fault="refuse_reload")
            process.config.tick(self.now, refuse=refuse)

        moment = Moment(self.now, self.now - self.started_at, self.plan.blast_after_seconds)
        received = [0] * len(self.distributors)
        stored = [0.0] * len(self.ingesters)
        for tenant in self.plan.tenants:
            rate, series = self._demand(tenant, moment=moment)
            passed = 0
            for index, distributor in enumerate(self.distributors):
                samples = distributor.push(
                    tenant.name, samples=rate * seconds, now=self.now, seconds=seconds
                )
                received[index] += samples
                passed += samples
            offered = 0.0 if rate == 0.0 else series if passed else None
            for index, ingester in enumerate(self.ingesters):
                stored[index] += ingester.tenants[tenant.name].ingest(
                    samples=passed,
                    series=offered,
                    limit=ingester.local_limit(tenant.name),
                    now=self.now,
                    seconds=seconds,
                )

        for distributor, metered in zip(self.distributors, received, strict=True):
            distributor.settle(metered, seconds=seconds)
        for ingester, written in zip(self.ingesters, stored, strict=True):
            ingester.settle(written, seconds=seconds)

    def _demand(self, tenant: Tenant, *, moment: Moment) -> Demand:
        """What the tenant sends: its habit, times the blast it was told to make."""
        demand = tenant.demand(moment)
        blast = self._blasts.get(tenant.name)
        if blast is None or blast.until <= self.now:
            return demand
        return Demand(demand.samples_per_second * blast.factor, demand.series * blast.factor)
