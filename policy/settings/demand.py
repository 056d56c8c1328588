"""How demand is read out of history: the window, spikes, and hours that differ."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from policy.settings.durations import format_duration
from policy.settings.section import Section
from policy.settings.values import (
    Duration,
    Factor,
    Faults,
    Headroom,
    Name,
    Percent,
    PositiveDuration,
)

_HOURS: Final = re.compile(r"(\d{1,2})-(\d{1,2})")
_LAST_HOUR: Final = 23


def hours_of(span: str) -> frozenset[int]:
    """The hours of the day that a span like `9-17` names, both ends included; `22-5` wraps.

    Raises:
        ValueError: no span of hours.
    """
    match = _HOURS.fullmatch(span)
    if match is None or max(map(int, match.groups())) > _LAST_HOUR:
        raise ValueError("is not a span of hours; write it like 9-17")
    first, last = map(int, match.groups())
    length = (last - first) % (_LAST_HOUR + 1)
    return frozenset((first + hour) % (_LAST_HOUR + 1) for hour in range(length + 1))


def _spans_apart(buffers: dict[str, float]) -> dict[str, float]:
    faults: dict[str, str] = {}
    taken: dict[int, str] = {}
    for span in buffers:
        try:
            hours = hours_of(span)
        except ValueError as fault:
            faults[span] = str(fault)
            continue
        if other := next((taken[hour] for hour in sorted(hours) if hour in taken), None):
            faults[span] = f"overlaps {other}"
        taken |= dict.fromkeys(hours, span)
    if faults:
        raise Faults(faults)
    return buffers


def _whole_day(length: timedelta) -> timedelta:
    if length < timedelta(days=1):
        raise ValueError("must be at least 1d: what decays are daily peaks")
    return length


class EventSpike(Section):
    """When a rise counts as an event rather than as growth."""

    enabled: bool = True
    threshold: Headroom = 2.0
    detection_window: PositiveDuration = timedelta(minutes=5)
    cooldown_period: PositiveDuration = timedelta(minutes=30)
    max_spike_multiplier: Headroom = 5.0

    @model_validator(mode="after")
    def _ceiling_above_threshold(self) -> Self:
        if self.max_spike_multiplier < self.threshold:
            raise Faults({"maxSpikeMultiplier": f"must not be below threshold {self.threshold:g}"})
        return self


class TrendAnalysis(Section):
    """How much history decides, and which point of it."""

    strategy: Name = "decayed-peaks"
    analysis_window: PositiveDuration = timedelta(days=70)
    min_history: PositiveDuration = timedelta(hours=24)
    half_life: Annotated[PositiveDuration, AfterValidator(_whole_day)] = timedelta(days=14)
    growth_lead: Duration = timedelta(days=7)
    percentile: Annotated[Percent, Field(gt=0)] = 95.0
    use_moving_average: bool = True
    include_peaks: bool = True
    time_of_day_buffers: Annotated[dict[str, Factor], AfterValidator(_spans_apart)] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _history_fits_window(self) -> Self:
        if self.min_history > self.analysis_window:
            needed, window = map(format_duration, (self.min_history, self.analysis_window))
            raise Faults(
                {"minHistory": f"{needed} never fits into analysisWindow {window}; lower it"}
            )
        return self
