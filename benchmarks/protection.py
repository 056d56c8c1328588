"""How well protection protects, in closed loop and accelerated: one table.

    python -m benchmarks.protection [--without] [SCENARIO ...]

Each scenario is a cluster of nine tenants with its own history, the real flows over it (`protect`
every 15 s of its time, `optimize` every 5 min), and waves of demand. With `--without` each runs
once more with breakers and emergency levels off, to see what they gain. The columns:

    detected    from the first sample of the wave to the look that tells of it
    capped      until every process has loaded a limit that is no higher than the fair share
    above       what was let in above the fair share: samples, or series of an explosion, or queries
    refused     samples of tenants that sent their usual, lost to any limit of theirs; in a flood of
                queries, their queries that found no place
    overload    samples of the same, lost to want of CPU or of processes
    recovered   from the last sample of the last wave until no cap is left, at any process

The fair share of a tenant is the most that it asks for around this hour, without the wave, and the
breaker's own margin.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Final, Literal

from benchmarks.closed_loop import COARSE_DAYS, PROTECT_SECONDS, Loop
from benchmarks.fair import Fair, fair_share
from policy.figures import figure
from simulator import Fault, Size
from simulator.sizes import GIB, HEADROOM, SMALL
from simulator.tenants import Tenant

MINUTE: Final = 60.0
HORIZON_SECONDS: Final = 90 * MINUTE  # after the last wave: what has not recovered by then did not
QUIET_LOOKS: Final = 8  # after a recovery, in which it has to last
CORES: Final = 2
FEW_DAYS: Final = 12  # by the hour, and two by five minutes: two weeks
RATE, SERIES = "ingestion_rate", "max_global_series_per_user"
QUERIERS, FEWEST = "max_queriers_per_tenant", 1.0
NOBODY: Final = "-"
WITHOUT: Final = "--without"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """A tenant asks for `factor` times its usual, `begins` seconds after the start."""

    tenant: str
    factor: float
    begins: float = 0.0
    lasts: float = 5 * MINUTE
    kind: Literal["samples", "series", "queries"] = "samples"

    @property
    def ends(self) -> float:
        """Seconds after the start."""
        return self.begins + self.lasts


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What happens to the cluster, and for how many seconds after it a recovery is waited for."""

    waves: tuple[Wave, ...] = ()
    crash: str | None = None
    headroom: float = HEADROOM
    smallest: Size = SMALL
    coarse_days: int = COARSE_DAYS
    horizon: float = HORIZON_SECONDS

    @property
    def ends(self) -> float:
        """Seconds after the start."""
        return max((wave.ends for wave in self.waves), default=2 * MINUTE)


@dataclass(slots=True, kw_only=True)
class Measured:
    """What came of a scenario; None: it did not happen."""

    detected: float | None = None
    capped: float | None = None
    above_samples: float = 0.0
    above_series: float = 0.0
    above_queries: float = 0.0
    refused: float = 0.0
    overload: float = 0.0
    recovered: float | None = None
    held_calm: set[str] = field(default_factory=set)

    @property
    def collateral(self) -> float:
        """Samples of calm tenants that were lost, by whatever."""
        return self.refused + self.overload


def every(tenant: str, *, factor: float, on: float, off: float, times: int) -> tuple[Wave, ...]:
    """So many waves of one tenant, one after another."""
    return tuple(
        Wave(tenant=tenant, factor=factor, begins=number * (on + off), lasts=on)
        for number in range(times)
    )


EVERYBODY: Final = ("steady-1", "diurnal-1", "bursty-1", "blasting-1", "growing-1", "churning-1")
# Two minutes each: time for protection to see it come.
RISING: Final = (1.2, 1.4, 1.6, 1.8, 2.0)
SCENARIOS: Final = {
    "blast x2": Scenario(waves=(Wave(tenant="steady-1", factor=2),)),
    "blast x10": Scenario(waves=(Wave(tenant="steady-1", factor=10),)),
    "blast x100": Scenario(waves=(Wave(tenant="steady-1", factor=100),)),
    # 960 samples/s: a rise that is too small to matter, and below its limit.
    "little blast": Scenario(waves=(Wave(tenant="idle-1", factor=8),)),
    "series explosion": Scenario(waves=(Wave(tenant="steady-1", factor=20, kind="series"),)),
    "explosion in churn": Scenario(waves=(Wave(tenant="churning-1", factor=20, kind="series"),)),
    "query flood": Scenario(waves=(Wave(tenant="steady-1", factor=200, kind="queries"),)),
    "two at once": Scenario(
        waves=(Wave(tenant="steady-1", factor=10), Wave(tenant="weekly-1", factor=10))
    ),
    # Of whom only two weeks are known, so that its limit was raised by three quarters.
    "blast in growth": Scenario(waves=(Wave(tenant="growing-1", factor=10),), coarse_days=FEW_DAYS),
    "sawtooth": Scenario(waves=every("steady-1", factor=10, on=60, off=60, times=8)),
    "flapping load": Scenario(waves=every("steady-1", factor=4, on=30, off=30, times=20)),
    "overload by everybody": Scenario(
        waves=tuple(
            Wave(tenant=tenant, factor=factor, begins=step * 2 * MINUTE, lasts=2 * MINUTE)
            for step, factor in enumerate(RISING)
            for tenant in EVERYBODY
        ),
        headroom=1.5,
        smallest=Size(1, GIB),
        # Series stay in memory until the head was compacted twice.
        horizon=6 * 60 * MINUTE,
    ),
    "ingester crash": Scenario(crash="ingester-1"),
    "second wave": Scenario(
        waves=(
            Wave(tenant="steady-1", factor=10),
            Wave(tenant="steady-1", factor=10, begins=15 * MINUTE),
        )
    ),
}


async def run(scenario: Scenario, *, folder: Path, protected: bool = True) -> Measured:
    """Live through a scenario, with breakers and emergency levels or without."""
    loop = Loop(
        folder=folder,
        headroom=scenario.headroom,
        smallest=scenario.smallest,
        coarse_days=scenario.coarse_days,
        protected=protected,
    )
    with loop.running():
        await loop.warm_up()
        return await _measure(scenario, loop)


async def _measure(scenario: Scenario, loop: Loop) -> Measured:
    found, began = Measured(), loop.now
    sending = {wave.tenant for wave in scenario.waves}
    calm = [name for name in loop.cluster.accounts if name not in sending]
    of_queries = _kinds(scenario) == {"queries"}
    refused, overload = _lost(loop, calm, queries=of_queries)
    fair = {
        name: fair_share(_tenant(loop, name), now=began, began=loop.cluster.started_at)
        for name in sending
    }
    admitted = {name: loop.account(name).admitted for name in sending}
    queried = {name: _queries(loop, name) for name in sending}
    if scenario.crash is not None:
        loop.cluster.inject(Fault(process=scenario.crash, kind="crash"))
    ahead = sorted(scenario.waves, key=lambda wave: wave.begins)
    quiet = 0
    while loop.now - began < scenario.ends + scenario.horizon and quiet < QUIET_LOOKS:
        while ahead and ahead[0].begins <= loop.now - began:
            _begin(ahead.pop(0), loop)
        await loop.look()
        since = loop.now - began
        held = loop.capped()
        found.held_calm |= held - sending
        if found.detected is None and sending and sending <= (held | loop.marked(since=began)):
            found.detected = since
        if found.capped is None and all(_is_capped(wave, loop, fair) for wave in scenario.waves):
            found.capped = since
        for name, share in fair.items():
            came = loop.account(name).admitted - admitted[name]
            admitted[name] += came
            found.above_samples += max(0.0, came - share.samples * PROTECT_SECONDS)
            asked = _queries(loop, name) - queried[name]
            queried[name] += asked
            found.above_queries += max(0.0, asked - share.queries * PROTECT_SECONDS)
        if since < scenario.ends:
            continue
        free = not held and loop.loaded()
        quiet = quiet + 1 if free else 0
        if not free:
            found.recovered = None
        elif found.recovered is None:
            found.recovered = since - scenario.ends
    now_refused, now_overload = _lost(loop, calm, queries=of_queries)
    found.refused, found.overload = now_refused - refused, now_overload - overload
    found.above_series = sum(
        max(0.0, _most_series(loop, name) - share.series) for name, share in fair.items()
    )
    return found


def _begin(wave: Wave, loop: Loop) -> None:
    loop.cluster.blast(wave.tenant, factor=wave.factor, seconds=wave.lasts, kind=wave.kind)


def _is_capped(wave: Wave, loop: Loop, fair: Mapping[str, Fair]) -> bool:
    share = fair[wave.tenant]
    limit, most = {
        "samples": (RATE, share.samples),
        "series": (SERIES, share.series),
        "queries": (QUERIERS, FEWEST),
    }[wave.kind]
    return loop.in_force(wave.tenant, limit) <= most


def _kinds(scenario: Scenario) -> set[str]:
    return {wave.kind for wave in scenario.waves}


def _queries(loop: Loop, name: str) -> float:
    """Queries of the tenant that found a place."""
    return loop.account(name).queries - _queries_lost(loop, name)


def _queries_lost(loop: Loop, name: str) -> float:
    return loop.account(name).queries_refused


def _lost(loop: Loop, names: Sequence[str], *, queries: bool) -> tuple[float, float]:
    """What these tenants lost until now: samples, or queries, to their limits; and to overload."""
    accounts = [loop.account(name) for name in names]
    limited = sum(one.queries_refused if queries else one.limited for one in accounts)
    return limited, sum(one.overloaded for one in accounts)


def _most_series(loop: Loop, name: str) -> float:
    return max(ingester.tenants[name].memory for ingester in loop.cluster.ingesters)


def _tenant(loop: Loop, name: str) -> Tenant:
    return next(one for one in loop.cluster.plan.tenants if one.name == name)


def row(name: str, found: Measured, *, protected: bool = True) -> str:
    """The line of the table."""
    scenario = SCENARIOS[name]
    kinds, refused = _kinds(scenario), f"{found.refused:,.0f}"
    above = f"{found.above_samples:,.0f}"
    if "series" in kinds:
        above = f"{found.above_series:,.0f} series"
    if "queries" in kinds:
        above, refused = f"{found.above_queries:,.0f} queries", f"{refused} queries"
    calls = bool(scenario.waves)
    cells = [
        name if protected else f"{name}, without",
        _seconds(found.detected) if calls and protected else NOBODY,
        _seconds(found.capped) if calls and protected else NOBODY,
        above if calls else NOBODY,
        refused,
        f"{found.overload:,.0f}",
        _seconds(found.recovered) if protected else NOBODY,
    ]
    return f"| {' | '.join(cells)} |"


def _seconds(length: float | None) -> str:
    return "never" if length is None else f"{figure(length)} s"


def scenario_row(name: str, protected: bool) -> str:  # noqa: FBT001 - map passes by position
    """Run one scenario in this process; its line."""
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(run(SCENARIOS[name], folder=Path(folder), protected=protected))
        return row(name, found, protected=protected)


def main(arguments: Sequence[str]) -> None:
    names = [name for name in arguments if name != WITHOUT]
    if strange := [name for name in names if name not in SCENARIOS]:
        sys.exit(f"no scenario {strange[0]!r}; there are: {', '.join(SCENARIOS)}")
    kinds = (True, False) if WITHOUT in arguments else (True,)
    runs = [(name, protected) for name in names or SCENARIOS for protected in kinds]
    print("| scenario | detected | capped | above | refused | overload | recovered |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
        for line in pool.map(scenario_row, *zip(*runs, strict=True)):
            print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
