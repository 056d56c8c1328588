"""Calm is left alone and a wave is told: two days of what `benchmarks/calm.py` lives a month of."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.calm import CALM, Life, month, report
from policy import detection

# A Monday with the batches of each week, and then the first of a month with those of each month.
MONDAY = datetime(2026, 11, 30, tzinfo=UTC)


def lived(folder: Path, *, days: int, factors: tuple[float, ...] = ()) -> Life:
    with month(folder, begin=MONDAY, days=days, tenants=1) as one:
        return one.live(factors=factors)


@pytest.mark.timeout(120)
def test_no_breaker_opens_on_calm_and_most_waves_of_twice_the_usual_open_one(
    tmp_path: Path,
) -> None:
    found = lived(tmp_path, days=2, factors=(1.3, 2.0, 10.0))

    assert found.opens.total() == 0
    small, double, large = (found.recall[factor] for factor in (1.3, 2.0, 10.0))
    assert len(small.opened) == 0
    assert len(double.opened) >= 0.8 * double.waves > 0
    assert len(large.opened) == large.waves == 2 * len(CALM)
    assert max(double.opened) <= 30
    assert all(f"| {shape} | 0 |" in report(found) for shape in CALM)


@pytest.mark.timeout(120)
def test_a_detection_that_is_too_keen_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step of half as much again is told, and nobody whose demand is flat."""
    monkeypatch.setattr(detection, "LEAST_RATIO", 1.2)
    monkeypatch.setattr(detection, "UNUSUAL_Z", 3.0)

    found = lived(tmp_path, days=1)

    assert found.opens["step"] > 0
    assert found.opens["flat"] == 0
