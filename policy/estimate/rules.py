"""The rules by which demand is read out of history, from the settings.

Rules that make no sense are refused when they are made, not when a tenant meets them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from policy.errors import ConfigError
from policy.settings import Settings
from policy.settings.demand import hours_of

_DAY: Final = timedelta(days=1)
_FULL_DAYS: Final = 14.0  # with so much history an estimate is fully believed


@dataclass(frozen=True, slots=True, kw_only=True)
class SpikeRules:
    """When a short peak counts as an event, and how much of it counts."""

    enabled: bool = True
    threshold: float = 2.0
    """A peak above this multiple of the level that was held is an event."""

    max_multiplier: float = 5.0
    """On its second day a short peak counts up to this multiple of the level."""

    def __post_init__(self) -> None:
        """Refuse a cap below the threshold: a higher peak would count for less."""
        if not 1 <= self.threshold <= self.max_multiplier:
            raise ConfigError(
                f"eventSpike: threshold {self.threshold:g} must be at least 1 and not above "
                f"maxSpikeMultiplier {self.max_multiplier:g}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateRules:
    """How demand follows from days of peaks."""

    strategy: str = "decayed-peaks"
    window: timedelta = timedelta(days=70)
    """How far back a day counts; never less than the running day and the one before."""

    half_life: timedelta = timedelta(days=14)
    """A day that is older by this much weighs half."""

    percentile: float = 95.0
    moving_average: bool = True
    include_peaks: bool = True
    spike: SpikeRules = field(default_factory=SpikeRules)

    growth_lead: timedelta = timedelta(days=7)
    """How far ahead steady growth is met; zero does not look ahead."""

    evaluation_lag: timedelta = timedelta(minutes=5)
    """The time from one estimate to the next, which the lead has to cover too."""

    hour_factors: Mapping[int, float] = field(default_factory=dict)
    """Hour of the day in UTC -> what its demand is multiplied with; other hours count as 1."""

    def __post_init__(self) -> None:
        """Refuse what no estimate can follow."""
        if self.window <= timedelta(0) or self.half_life < _DAY:
            raise ConfigError(
                "trendAnalysis: analysisWindow must be longer than 0s, and halfLife at least 1d"
            )
        if not 0 < self.percentile <= 100:  # noqa: PLR2004 - it is a percentage
            raise ConfigError(f"trendAnalysis.percentile: {self.percentile:g} is not in (0, 100]")

    @property
    def window_days(self) -> int:
        """Age in days of the oldest day that counts; the running day has age 0."""
        return max(1, self.window // _DAY)

    @property
    def full_days(self) -> float:
        """Days of history with which an estimate is fully believed."""
        return max(1.0, min(_FULL_DAYS, self.window / _DAY))

    @property
    def half_life_days(self) -> float:
        """The half-life in days."""
        return self.half_life / _DAY

    @property
    def lead_days(self) -> float:
        """How many days of growth are added; 0 adds none."""
        if not self.growth_lead:
            return 0.0
        return (self.growth_lead + self.evaluation_lag) / _DAY


def estimate_rules(settings: Settings) -> EstimateRules:
    """The rules that the settings ask for.

    Raises:
        ConfigError: the settings contradict each other.
    """
    trend, spike = settings.trend_analysis, settings.event_spike
    return EstimateRules(
        strategy=trend.strategy,
        window=trend.analysis_window,
        half_life=trend.half_life,
        percentile=trend.percentile,
        moving_average=trend.use_moving_average,
        include_peaks=trend.include_peaks,
        spike=SpikeRules(
            enabled=spike.enabled,
            threshold=spike.threshold,
            max_multiplier=spike.max_spike_multiplier,
        ),
        growth_lead=trend.growth_lead,
        evaluation_lag=settings.update_interval,
        hour_factors={
            hour: factor
            for span, factor in trend.time_of_day_buffers.items()
            for hour in hours_of(span)
        },
    )
