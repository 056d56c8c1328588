"""The tenants of the simulated cluster: their names, sizes, habits and what they ask for.

Twenty are described one by one, because a demonstration needs some near their limit, some
far below and some just right; any more are drawn from the seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from simulator.errors import SimulatorError
from simulator.habits import HABITS, Moment
from simulator.noise import key_of, smooth, unit

# Series without a sample leave memory when the head is compacted, every two hours, and the
# youngest of them survive one compaction.
COMPACTION_SECONDS: Final = 7_200.0
ACTIVE_IDLE_SECONDS: Final = 1_200.0

_MAX_SAMPLES_PER_REQUEST: Final = 2_000


class Demand(NamedTuple):
    """What a tenant asks of the whole cluster at one moment."""

    samples_per_second: float
    series: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One tenant.

    Attributes:
        habit: one of `simulator.habits.HABITS`.
        samples_per_second: its usual size.
        series: series that it sends at once, at its usual size.
        churn_per_second: share of its series that a new one replaces each second.
        key: its own source of noise.
    """

    name: str
    habit: str
    samples_per_second: float
    series: float
    churn_per_second: float
    key: int

    @property
    def samples_per_request(self) -> int:
        """Small tenants send small requests; no sender of Prometheus exceeds 2,000."""
        return int(min(_MAX_SAMPLES_PER_REQUEST, max(20.0, self.samples_per_second / 4.0)))

    def demand(self, moment: Moment) -> Demand:
        """Samples/s and series that the tenant sends at the moment, before any limit."""
        factor = HABITS[self.habit](self.key, moment)
        jitter = 1.0 + 0.03 * smooth(self.key, at=moment.at, period_seconds=45.0)
        return Demand(
            self.samples_per_second * factor.samples * jitter, self.series * factor.series
        )


class _Size(NamedTuple):
    habit: str
    samples_per_second: float
    series: float


# One of each habit first, so that a small roster still shows them all.
_SIZES: Final = (
    _Size("steady", 2_000, 30_000),
    _Size("diurnal", 30_000, 180_000),
    _Size("bursty", 1_500, 22_000),
    _Size("blasting", 1_500, 18_000),
    _Size("growing", 18_000, 160_000),
    _Size("churning", 2_400, 24_000),
    _Size("weekly", 8_000, 110_000),
    _Size("idle", 120, 1_800),
    _Size("steady", 9_300, 120_000),
    _Size("diurnal", 3_000, 45_000),
    _Size("steady", 40_000, 200_000),
    _Size("bursty", 400, 6_000),
    _Size("growing", 900, 13_000),
    _Size("diurnal", 600, 9_000),
    _Size("steady", 100, 1_500),
    _Size("weekly", 1_200, 18_000),
    _Size("churning", 500, 5_000),
    _Size("diurnal", 5_000, 70_000),
    _Size("steady", 250, 3_800),
    _Size("idle", 200, 3_000),
)
_EXTRA_HABITS: Final = ("steady", "diurnal", "weekly", "growing", "bursty", "churning", "idle")
_CHURN_PER_SECOND: Final = {"churning": 1.0 / 3_600.0}

_OPERATOR_OVERRIDES: Final[dict[str, dict[str, int]]] = {
    "diurnal-1": {
        "ingestion_rate": 100_000,
        "ingestion_burst_size": 1_000_000,
        "max_global_series_per_user": 400_000,
    },
    "growing-1": {"ingestion_rate": 20_000, "max_global_series_per_user": 200_000},
    "steady-3": {
        "ingestion_rate": 50_000,
        "ingestion_burst_size": 500_000,
        "max_global_series_per_user": 250_000,
    },
    "steady-5": {"ingestion_rate": 50_000, "max_global_series_per_user": 300_000},
}


def roster(count: int = 20, *, seed: int = 1) -> tuple[Tenant, ...]:
    """The first `count` tenants; the same for the same seed.

    Raises:
        SimulatorError: fewer than one tenant was asked for.
    """
    if count < 1:
        raise SimulatorError(f"tenants must be at least 1, not {count}")
    seen: dict[str, int] = {}
    tenants = []
    for index in range(count):
        size = _SIZES[index] if index < len(_SIZES) else _drawn(index, seed=seed)
        seen[size.habit] = seen.get(size.habit, 0) + 1
        name = f"{size.habit}-{seen[size.habit]}"
        tenants.append(
            Tenant(
                name=name,
                habit=size.habit,
                samples_per_second=size.samples_per_second,
                series=size.series,
                churn_per_second=_CHURN_PER_SECOND.get(size.habit, 0.0),
                key=key_of(seed=seed, name=name),
            )
        )
    return tuple(tenants)


def operator_overrides(tenants: Sequence[Tenant]) -> Mapping[str, Mapping[str, int]]:
    """What the operator of this cluster wrote by hand: limits by tenant, for a base file.

    The large tenants would not fit Mimir's defaults; one small tenant was given far too much.
    """
    names = {tenant.name for tenant in tenants}
    return {name: limits for name, limits in _OPERATOR_OVERRIDES.items() if name in names}


def _drawn(index: int, *, seed: int) -> _Size:
    """A tenant past the described ones: 100 to 4,000 samples/s, 15 series per sample/s."""
    key = key_of(seed=seed, name=f"extra-{index}")
    samples_per_second = round(100.0 * 40.0 ** unit(key))
    return _Size(
        _EXTRA_HABITS[index % len(_EXTRA_HABITS)], samples_per_second, samples_per_second * 15
    )
