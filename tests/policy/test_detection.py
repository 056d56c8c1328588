"""A blast is told from what is usual, from growth and from habit; the unknown says nothing."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import polars as pl
import pytest

from policy.detection import (
    SIGNAL_OF,
    THRESHOLDS,
    USUAL,
    Kind,
    Sensitivity,
    detect,
)
from policy.frames import LIMITS, SAMPLES
from policy.settings import parse_settings
from policy.signals import INGESTION_RATE
from policy.thresholds import adapted, from_limits, in_force

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NO_LIMIT: dict[Kind, float | None] = {"ingestion": None, "queries": None, "series": None}
LEAST: dict[Kind, float] = {"ingestion": 1_000.0, "queries": 10.0, "series": 100.0}


def look(value: float, *, kind: Kind = "ingestion", tenant: str = "a") -> pl.DataFrame:
    row = (NOON, tenant, SIGNAL_OF[kind], value, 1.0)
    return pl.DataFrame([row], schema=SAMPLES, orient="row")


def usual(
    level: float,
    *,
    kind: Kind = "ingestion",
    spread: float = 0.05,
    points: int = 12,
    peak: float | None = None,
) -> pl.DataFrame:
    seasoned = points > 0
    row = {
        "tenant": "a",
        "signal": SIGNAL_OF[kind],
        "mid": math.log(level) if seasoned else None,
        "spread": spread if seasoned else None,
        "points": points,
        "recent": level,
        "peak": level if peak is None else peak,
    }
    return pl.DataFrame([row], schema=USUAL)


def found(
    latest: pl.DataFrame,
    *,
    normal: pl.DataFrame,
    threshold: float | None = None,
    manual: bool = False,
    absolute: float | None = None,
    **how: bool,
) -> pl.DataFrame:
    rows = [] if threshold is None else [("a", "ingestion", threshold, manual)]
    return detect(
        latest,
        usual=normal,
        thresholds=pl.DataFrame(rows, schema=THRESHOLDS, orient="row"),
        limits=pl.DataFrame([("a", INGESTION_RATE, 13_000.0)], schema=LIMITS, orient="row"),
        sensitivity=Sensitivity(absolute={**NO_LIMIT, "ingestion": absolute}, least=LEAST, **how),
    )


@pytest.mark.parametrize(("value", "is_blast"), [(10_500, False), (15_000, False), (20_000, True)])
def test_twice_the_usual_is_a_blast_and_half_as_much_more_is_none(
    value: float,
    is_blast: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert found(look(value), normal=usual(10_000)).is_empty() != is_blast


def test_a_peak_that_is_a_habit_is_none() -> None:
    """One minute in ten at seven times the usual, for weeks."""
    normal = usual(1_500, peak=10_700)

    assert found(look(10_600), normal=normal).is_empty()
    assert not found(look(15_000), normal=normal).is_empty()


def test_who_is_restless_is_measured_by_that() -> None:
    assert found(look(30_000), normal=usual(10_000, spread=0.5)).is_empty()
    assert not found(look(30_000), normal=usual(10_000, spread=0.05)).is_empty()


@pytest.mark.parametrize(("value", "is_blast"), [(25_000, False), (35_000, True)])
def test_of_a_young_tenant_its_last_hours_count(
    value: float,
    is_blast: bool,  # noqa: FBT001 - as above
) -> None:
    assert found(look(value), normal=usual(10_000, points=0)).is_empty() != is_blast


def test_of_a_tenant_of_whom_nothing_is_known_only_a_threshold_counts() -> None:
    nothing = pl.DataFrame(schema=USUAL)

    assert found(look(50_000), normal=nothing).is_empty()
    assert found(look(50_000), normal=nothing, absolute=40_000)["sure"].to_list() == [True]
    assert found(look(50_000), normal=nothing, threshold=40_000, manual=True).height == 1
    assert found(look(50_000), normal=nothing, threshold=40_000).is_empty()


def test_little_is_nobodys_trouble() -> None:
    assert found(look(900), normal=usual(100)).is_empty()


def test_above_its_threshold_and_unusual_needs_no_second_look() -> None:
    assert found(look(30_000), normal=usual(10_000), threshold=25_000)["sure"].to_list() == [True]
    assert found(look(20_000), normal=usual(10_000), threshold=25_000)["sure"].to_list() == [False]
    assert found(look(30_000), normal=usual(29_000), threshold=25_000).is_empty()


def test_where_habit_is_not_to_count_only_thresholds_do() -> None:
    normal = usual(10_000)

    assert found(look(50_000), normal=normal, by_habit=False).is_empty()
    assert found(look(50_000), normal=normal, absolute=40_000, at_once=False)["sure"].to_list() == [
        False
    ]


@pytest.mark.parametrize("kind", ["queries", "series"])
def test_queries_and_new_series_are_watched_too(kind: Kind) -> None:
    said = found(look(2_000, kind=kind), normal=usual(200, kind=kind))

    assert said["kind"].to_list() == [kind]
    assert "its usual 200" in said["because"][0]


def test_a_value_that_is_none_says_nothing() -> None:
    assert found(look(float("inf")), normal=usual(10_000)).is_empty()
    assert found(look(50_000, tenant="b"), normal=usual(10_000)).is_empty()


def limits(value: float) -> pl.DataFrame:
    return pl.DataFrame([("a", INGESTION_RATE, value)], schema=LIMITS, orient="row")


def test_a_threshold_is_the_limit_times_its_multiplier_and_the_margin_above() -> None:
    tree = {"circuitBreaker": {"autoConfig": {"safetyMargins": {"tenantMargins": {"a": 40.0}}}}}

    of_all = from_limits(limits(100_000), settings=parse_settings({}))
    of_one = from_limits(limits(100_000), settings=parse_settings(tree))

    assert of_all["threshold"].to_list() == pytest.approx([100_000 * 1.5 * 1.25])
    assert of_one["threshold"].to_list() == pytest.approx([100_000 * 1.5 * 1.40])


def test_a_threshold_follows_the_traffic_slowly_and_never_below_the_limits() -> None:
    settings = parse_settings({})
    anchors = from_limits(limits(100_000), settings=settings)
    busy = pl.DataFrame({"tenant": ["a"], "kind": ["ingestion"], "value": [10.0**7]})
    quiet = busy.with_columns(value=pl.lit(1.0))

    once = adapted(anchors, anchors=anchors, reached=busy, settings=settings)
    back = once
    for _ in range(200):
        back = adapted(back, anchors=anchors, reached=quiet, settings=settings)

    anchor = anchors["threshold"][0]
    assert once["threshold"][0] == pytest.approx(anchor * 1.2), "20 % at once at the most"
    assert back["threshold"][0] == pytest.approx(anchor, rel=1e-6)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("auto", [187_500.0]), ("manual", [500.0]), ("hybrid", [500.0])],
)
def test_which_threshold_counts_is_a_matter_of_the_mode(mode: str, expected: list[float]) -> None:
    tree = {
        "circuitBreaker": {
            "mode": mode,
            "perTenantConfig": {"a": {"thresholds": {"ingestion": 500}}},
        }
    }
    settings = parse_settings(tree)
    auto = from_limits(limits(100_000), settings=settings)

    assert in_force(auto, tenants=["a"], settings=settings)["threshold"].to_list() == expected
