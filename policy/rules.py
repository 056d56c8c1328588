"""The rules that the recommender keeps: buffers, bounds, dead bands, steps.

Rules that contradict each other are refused when they are made, not when a tenant meets them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from math import isfinite

from policy.catalogue import Catalogue, integers, unlimited_at_zero
from policy.catalogue import limits as built_in
from policy.errors import ConfigError
from policy.layers import Bounds
from policy.signals import INGESTION_BURST_SIZE, INGESTION_RATE, SIZED


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a limit follows from demand.

    Raises:
        ConfigError: on construction, when two rules contradict each other.
    """

    buffer_percentage: float
    """Room above the peak, in percent, for tenants without a tier of their own."""

    buffer_by_tenant: Mapping[str, float] = field(default_factory=dict)
    """The same for the tenants whose tier says otherwise: tenant -> percent."""

    buffer_by_limit: Mapping[str, float] = field(default_factory=dict)
    """The same for single limits, where no tier says otherwise: limit -> percent."""

    min_limits: Mapping[str, float] = field(default_factory=dict)
    max_limits: Mapping[str, float] = field(default_factory=dict)
    """Hard bounds of what is recommended: limit -> value. Whole numbers where Mimir wants them."""

    default_limits: Mapping[str, float] = field(default_factory=dict)
    """What a tenant has where Mimir did not say: limit -> value."""

    min_history: timedelta = timedelta(hours=1)
    """The shortest history that is believed."""

    stale_after: timedelta = timedelta(minutes=15)
    """The oldest newest measurement that is believed."""

    raise_band: float = 0.03
    lower_band: float = 0.15
    """The dead band around the limit, as fractions: small differences change nothing."""

    max_raise_step: float = 1.0
    """The most that one decision raises a limit, as a fraction of it."""

    max_lower_step: float = 0.10
    """The most that one decision lowers a limit, as a fraction of it."""

    quiet_before_lowering: timedelta = timedelta(days=7)
    """Before a lowering, nothing was refused for want of the limit and it was not raised."""

    min_confidence: float = 0.8
    """The confidence of an estimate, 0..1, that a lowering needs."""

    agreeing_runs: int = 3
    """The runs in a row, this one included, that must have found the limit too high."""

    max_reversals: int = 2
    """A limit whose direction turned more often in the window is left where it is."""

    max_changes: int = 20
    max_tenants_share: float = 0.10
    """What one run may change: so many limits, or those of this share of the tenants."""

    lower_cooldown: timedelta = timedelta(hours=72)
    """The shortest time between a change of a limit and its next lowering."""

    most_doublings: int = 4
    """That time doubles with each lowering that had to be taken back, so often at most."""

    degraded_from: int = 3
    """Of the last five lowerings so many taken back, and the limit is not lowered any more."""

    ring_settled: timedelta = timedelta(hours=24)
    """Nothing is lowered for so long after the number of ingesters changed: each one's share of
    the limits did, too, and what was measured before says little of the new ones."""

    floor_factor: float = 1.05
    """A limit is never lowered below this multiple of the peak."""

    min_coverage: float = 0.99
    """The mean share of the pods that must have answered over the window for a lowering."""

    refused_series_factor: float = 1.2
    """What a series peak counts for while series are refused, as nobody can count those."""

    burst_factor: float = 10.0
    """Burst as a multiple of the rate, the ratio of Mimir's own tiers. Burst is not divided
    among the distributors, so it is also kept above what the busiest one sees."""

    request_factor: float = 4.0
    """Burst is no less than this multiple of the mean request: a larger request never passes, and
    how large the largest is, nobody says."""

    burst_floor: float = 200_000.0
    """The smallest burst recommended, Mimir's default: less saves nothing and refuses requests."""

    limits: tuple[str, ...] = SIZED
    """The limits that are recommended at all."""

    catalogue: Catalogue = field(default_factory=built_in)
    """What is known of each limit: unit, what 0 means, the least that is recommended."""

    def __post_init__(self) -> None:
        """Refuse rules that cannot be kept together."""
        if missing := sorted(set(self.limits) - set(self.catalogue)):
            raise ConfigError(
                f"{', '.join(missing)} cannot be recommended: the catalogue does not know it; "
                "define it in limits.definitions"
            )
        _refuse_bounds(self.bounds, whole=integers(self.catalogue))
        buffers = (
            self.buffer_percentage,
            *self.buffer_by_tenant.values(),
            *self.buffer_by_limit.values(),
        )
        if not all(isfinite(buffer) and buffer >= 0 for buffer in buffers):
            raise ConfigError("a buffer percentage is negative or no number; give 0 or more")
        if self.max_raise_step <= 0 or not 0 < self.max_lower_step < 1:
            raise ConfigError(
                "a limit cannot move: movement.maxRaiseStep must be above 0 %, and maxLowerStep "
                "above 0 % and below 100 %"
            )
        if self.burst_factor < 1:
            raise ConfigError(
                f"burst_factor is {self.burst_factor}: a burst below the rate refuses what the "
                "rate allows; give 1 or more"
            )

    @property
    def bounds(self) -> Bounds:
        """The hard bounds, as the cascade wants them."""
        return Bounds(
            minimum=self.min_limits,
            maximum=self.max_limits,
            endless=unlimited_at_zero(self.catalogue),
        )


def _refuse_bounds(bounds: Bounds, *, whole: frozenset[str]) -> None:
    minimum, maximum = bounds.minimum, bounds.maximum
    for limit, value in (*minimum.items(), *maximum.items()):
        if not isfinite(value) or value < 0:
            raise ConfigError(f"the bound {value} of {limit} is no limit; give 0 or more")
        if limit in whole and value != int(value):
            raise ConfigError(f"the bound {value} of {limit} is not whole, as Mimir wants it")

    for limit in minimum.keys() & maximum.keys():
        if minimum[limit] > maximum[limit] > 0:
            raise ConfigError(
                f"{limit}: the minimum {minimum[limit]} is above the maximum {maximum[limit]}"
            )

    burst = maximum.get(INGESTION_BURST_SIZE)
    if burst is not None and burst < maximum.get(INGESTION_RATE, float("inf")):
        raise ConfigError(
            f"the maximum of {INGESTION_BURST_SIZE} ({burst}) is below that of {INGESTION_RATE}; "
            f"raise it, or set a maximum of {INGESTION_RATE} that is not above it"
        )
