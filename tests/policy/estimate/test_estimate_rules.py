"""The settings arrive in the rules, and strategies of other packages are found or refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from policy.errors import ConfigError
from policy.estimate import EstimateRules, SpikeRules, estimate, estimate_rules
from policy.estimate.registry import names, strategy
from policy.frames import DAYS
from policy.settings import parse_settings

SOURCE = """
import polars as pl


class Mean:
    def demand(self, days, *, rules):
        told = days.group_by("key").agg(demand=pl.col("counted").mean())
        return told.with_columns(because=pl.lit("the mean"), doubled=pl.col("demand") * 2)


class Silent:
    def demand(self, days, *, rules):
        return days.group_by("key").agg(because=pl.lit("nothing"))


class Below:
    def demand(self, days, *, rules):
        return days.group_by("key").agg(demand=-pl.col("counted").max(), because=pl.lit("less"))


class Twice:
    def demand(self, days, *, rules):
        return days.select("key", demand="counted", because=pl.lit("each day"))


class Wordy:
    def demand(self, days, *, rules):
        return days.group_by("key").agg(demand=pl.lit("much"), because=pl.lit("so"))


no_strategy = 3
"""
ENTRIES = """[mimir_limit_optimizer.strategies]
mean = own_strategies_of_a_test:Mean
silent = own_strategies_of_a_test:Silent
below = own_strategies_of_a_test:Below
twice = own_strategies_of_a_test:Twice
wordy = own_strategies_of_a_test:Wordy
number = own_strategies_of_a_test:no_strategy
missing = own_strategies_of_a_test:absent
max = own_strategies_of_a_test:Mean
"""


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    info = tmp_path / "own_strategies_of_a_test-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: own-strategies-of-a-test\nVersion: 1.0\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text(ENTRIES, encoding="utf-8")
    (tmp_path / "own_strategies_of_a_test.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    strategy.cache_clear()
    yield
    strategy.cache_clear()
    sys.modules.pop("own_strategies_of_a_test", None)


def two_days() -> pl.DataFrame:
    row = {"tenant": "a", "limit": "ingestion_rate", "points": 288, "hours": 24, "coverage": 1.0}
    return pl.DataFrame(
        [
            row | {"day": date(2026, 3, day), "peak": peak, "sustained": peak}
            for day, peak in ((1, 100.0), (2, 200.0))
        ],
        schema=DAYS,
    )


def with_strategy(name: str) -> dict:
    now = datetime(2026, 3, 2, 12, tzinfo=UTC)
    return estimate(two_days(), rules=EstimateRules(strategy=name), now=now).row(0, named=True)


@pytest.mark.usefixtures("own_package")
def test_a_package_brings_a_strategy_of_its_own() -> None:
    found = with_strategy("mean")

    assert (found["base"], found["because"]) == (150, "the mean")
    assert found["parts"] == '{"doubled":300.0}'
    assert "mean" in names()


@pytest.mark.usefixtures("own_package")
def test_a_strategy_of_ours_is_not_taken_over() -> None:
    assert with_strategy("max")["base"] == 200


@pytest.mark.usefixtures("own_package")
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mode", "there is no strategy 'mode'; use one of below, decayed-peaks, max, mean"),
        ("missing", "'missing' .* cannot be loaded: .*absent"),
        ("number", "'number' .* is not a strategy: it has no demand"),
        ("silent", "'silent' is broken: its answer has no column demand"),
        ("below", "'below' is broken: it gives a demand that is negative"),
        ("twice", "'twice' is broken: it answers twice for one tenant and limit"),
        ("wordy", "'wordy' is broken: its column demand does not hold numbers"),
    ],
)
def test_a_strategy_that_is_none_is_refused_by_name(name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=rf"trendAnalysis\.strategy: .*{told}"):
        with_strategy(name)


def test_the_settings_arrive_in_the_rules() -> None:
    settings = parse_settings(
        {
            "updateInterval": "10m",
            "eventSpike": {"enabled": False, "threshold": 3, "maxSpikeMultiplier": 4},
            "trendAnalysis": {
                "strategy": "percentile",
                "analysisWindow": "48h",
                "halfLife": "2d",
                "growthLead": "3d",
                "percentile": 90,
                "useMovingAverage": False,
                "includePeaks": False,
                "timeOfDayBuffers": {"23-0": 1.5},
            },
        }
    )

    assert estimate_rules(settings) == EstimateRules(
        strategy="percentile",
        window=timedelta(days=2),
        half_life=timedelta(days=2),
        percentile=90,
        moving_average=False,
        include_peaks=False,
        spike=SpikeRules(enabled=False, threshold=3, max_multiplier=4),
        growth_lead=timedelta(days=3),
        evaluation_lag=timedelta(minutes=10),
        hour_factors={23: 1.5, 0: 1.5},
    )


def test_the_settings_and_the_rules_have_the_same_defaults() -> None:
    assert estimate_rules(parse_settings({})) == EstimateRules()


def test_a_half_life_below_a_day_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"trendAnalysis\.halfLife: must be at least 1d"):
        parse_settings({"trendAnalysis": {"halfLife": "12h"}})


@pytest.mark.parametrize(
    "broken",
    [{"window": timedelta(0)}, {"half_life": timedelta(hours=1)}, {"percentile": 0}],
    ids=["window", "half-life", "percentile"],
)
def test_rules_without_sense_are_refused(broken: dict) -> None:
    with pytest.raises(ConfigError, match="trendAnalysis"):
        EstimateRules(**broken)


def test_a_cap_below_the_threshold_is_refused() -> None:
    with pytest.raises(ConfigError, match="threshold 6 must be at least 1 and not above"):
        SpikeRules(threshold=6)
