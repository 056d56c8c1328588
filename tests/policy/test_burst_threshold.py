"""A look in which more is asked for than rate and buckets let through is above the threshold."""

from __future__ import annotations

from datetime import UTC, datetime
from math import log

import polars as pl
import pytest

from policy.burst_threshold import BURST_FACTOR, within_burst
from policy.detection import THRESHOLDS, detect
from policy.frames import LIMITS, SAMPLES
from policy.settings import Settings, parse_settings
from policy.signals import INGESTION_BURST_SIZE, INGESTION_RATE, SAMPLES_ASKED
from policy.thresholds import from_limits, sensitivity
from policy.usual import USUAL
from simulator.limiter import Limiter, Rate

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RATE, BURST, DISTRIBUTORS, SECONDS = 10_000.0, 20_000.0, 2, 15


def settings(times: float = 1.2) -> Settings:
    return parse_settings(
        {
            "protectInterval": f"{SECONDS}s",
            "circuitBreaker": {"autoConfig": {"limitMultipliers": {"burstMultiplier": times}}},
        }
    )


def limits(**more: float) -> pl.DataFrame:
    told = {INGESTION_RATE: RATE, INGESTION_BURST_SIZE: BURST, **more}
    rows = [("a", limit, value) for limit, value in told.items()]
    return pl.DataFrame(rows, schema=LIMITS, orient="row")


def look(asked: float) -> pl.DataFrame:
    told = {
        SAMPLES_ASKED: asked,
        INGESTION_RATE: asked,
        INGESTION_BURST_SIZE: asked / DISTRIBUTORS,
    }
    rows = [(NOON, "a", signal, value, 1.0) for signal, value in told.items()]
    return pl.DataFrame(rows, schema=SAMPLES, orient="row")


def threshold(times: float = 1.2, *, asked: float = 12_000.0, **more: float) -> float:
    how, known = settings(times), limits(**more)
    found = within_burst(
        from_limits(known, settings=how), samples=look(asked), limits=known, settings=how
    )
    return float(found["threshold"].item())


def test_it_is_the_rate_and_so_many_times_the_buckets_of_all_distributors_spread_over_a_look() -> (
    None
):
    assert threshold() == pytest.approx(RATE + DISTRIBUTORS * BURST * 1.2 / SECONDS)


def test_buckets_that_hold_more_than_the_limit_allows_leave_the_threshold_of_the_limit() -> None:
    by_limit = from_limits(limits(), settings=settings())["threshold"].item()

    assert threshold(**{INGESTION_BURST_SIZE: 500_000}) == by_limit


def test_the_multiplier_decides_whether_a_look_is_too_much() -> None:
    normal = pl.DataFrame(
        [
            {
                "tenant": "a",
                "signal": SAMPLES_ASKED,
                "mid": log(5_000),
                "spread": 0.0,
                "points": 12,
                "lift": 1.0,
                "near": 6_000.0,
                "crest": 1.0,
                "recent": 5_000.0,
                "peak": 6_000.0,
            }
        ],
        schema=USUAL,
    )

    def sure(times: float) -> list[bool]:
        how, known, latest = settings(times), limits(), look(14_000)
        told = within_burst(
            from_limits(known, settings=how), samples=latest, limits=known, settings=how
        )
        found = detect(
            latest, usual=normal, thresholds=told, limits=known, sensitivity=sensitivity(how)
        )
        return found["sure"].to_list()

    assert sure(1.2) == [True]
    assert sure(2.0) == [False]


@pytest.mark.parametrize("times", [1.0, 1.2])
def test_whoever_is_above_it_in_a_look_was_refused_by_a_full_bucket(times: float) -> None:
    bucket = Limiter(lambda: Rate(RATE / DISTRIBUTORS, BURST), now=0.0, next_recheck=60.0)
    asked = int(threshold(times) * 1.01 / DISTRIBUTORS)

    let_through = sum(
        bucket.admit(asked, size=1.0, now=float(second), seconds=1.0)
        for second in range(1, SECONDS + 1)
    )

    assert let_through < asked * SECONDS


def test_with_a_burst_factor_or_without_a_word_on_the_distributors_nothing_is_lowered() -> None:
    by_limit = from_limits(limits(), settings=settings())
    other = within_burst(by_limit, samples=SAMPLES.to_frame(), limits=limits(), settings=settings())

    assert threshold(**{BURST_FACTOR: 2.0}) == by_limit["threshold"].item()
    assert other.equals(by_limit)


def test_thresholds_of_other_kinds_stay() -> None:
    queries = pl.DataFrame([("a", "queries", 9.0, False)], schema=THRESHOLDS, orient="row")

    found = within_burst(queries, samples=look(1e6), limits=limits(), settings=settings())

    assert found.equals(queries)
