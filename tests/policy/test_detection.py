"""A blast is told from what is usual, from growth and from habit; the unknown says nothing."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import polars as pl
import pytest

from policy.breakers import BREAKERS
from policy.detection import (
    SIGNAL_OF,
    THRESHOLDS,
    Kind,
    Sensitivity,
    detect,
    uncensored,
)
from policy.frames import LIMITS, SAMPLES
from policy.settings import parse_settings
from policy.signals import (
    DISCARDED_SERIES_LIMIT,
    INGESTION_RATE,
    SERIES,
    SERIES_CREATED_RATE,
)
from policy.thresholds import adapted, from_limits, from_usual, in_force
from policy.usual import USUAL, levels

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
    near: float | None = None,
    lift: float | None = None,
    crest: float | None = None,
) -> pl.DataFrame:
    seasoned = points > 0
    row = {
        "tenant": "a",
        "signal": SIGNAL_OF[kind],
        "mid": math.log(level) if seasoned else None,
        "spread": spread if seasoned else None,
        "points": points,
        "lift": lift,
        "recent": level,
        "near": level if near is None else near,
        "peak": level if peak is None else peak,
        "crest": crest,
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
    normal = usual(1_500, near=10_700)

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


def in_memory(
    *, held: float, new: float, others: float = 10.0**6, tenant: str = "a"
) -> pl.DataFrame:
    """A look at a tenant that has so many series, and creates so many per second."""
    rows = [
        (NOON, tenant, SERIES_CREATED_RATE, new, 1.0),
        (NOON, tenant, SERIES, held, 1.0),
        (NOON, "others", SERIES, others, 1.0),
    ]
    return pl.DataFrame(rows, schema=SAMPLES, orient="row")


def who_creates(usually: float, *, held: float) -> pl.DataFrame:
    """USUAL of a tenant of whom only the last hours are known."""
    rows = [
        {"tenant": "a", "signal": SERIES_CREATED_RATE, "recent": usually, "peak": usually},
        {"tenant": "a", "signal": SERIES, "recent": held, "peak": held},
    ]
    return pl.DataFrame(rows, schema=USUAL)


def exploded(latest: pl.DataFrame, *, normal: pl.DataFrame, limit: float | None) -> pl.DataFrame:
    rows = [] if limit is None else [("a", SERIES, limit)]
    return detect(
        latest,
        usual=normal,
        thresholds=pl.DataFrame(schema=THRESHOLDS),
        limits=pl.DataFrame(rows, schema=LIMITS, orient="row"),
        sensitivity=Sensitivity(absolute=NO_LIMIT, least=LEAST),
    )


def test_who_usually_creates_no_series_explodes_when_the_limit_is_soon_reached() -> None:
    normal = who_creates(0.0, held=30_000)

    def told(new: float) -> pl.DataFrame:
        latest = in_memory(held=31_000, new=new, others=10.0**7)
        return exploded(latest, normal=normal, limit=100_000)

    soon, late = told(300), told(150)

    assert soon["kind"].to_list() == ["series"]
    assert late.is_empty(), "70,000 more take eight minutes"


def test_without_a_limit_new_series_count_when_they_are_a_share_of_the_clusters() -> None:
    normal = who_creates(0.0, held=30_000)
    look_of = in_memory(held=31_000, new=300, others=10.0**6)

    assert exploded(look_of, normal=normal, limit=None).height == 1
    many = in_memory(held=31_000, new=300, others=10.0**7)
    assert exploded(many, normal=normal, limit=None).is_empty()


def test_only_new_series_that_reach_the_limit_within_a_minute_need_no_second_look() -> None:
    """Whoever starts ten times its processes at once creates much in one look, and no more."""
    normal = who_creates(0.0, held=30_000)

    def sure(limit: float | None) -> list[bool]:
        return exploded(in_memory(held=31_000, new=900), normal=normal, limit=limit)[
            "sure"
        ].to_list()

    assert [sure(80_000), sure(100_000), sure(None)] == [[True], [False], [False]]


def test_who_comes_back_with_the_series_that_it_had_does_not_explode() -> None:
    normal = who_creates(0.0, held=30_000)

    assert exploded(in_memory(held=29_000, new=2_000), normal=normal, limit=35_000).is_empty()


def test_who_always_replaces_series_explodes_only_far_above_that() -> None:
    normal = who_creates(400.0, held=100_000)

    assert exploded(in_memory(held=101_000, new=500), normal=normal, limit=110_000).is_empty()
    assert exploded(in_memory(held=101_000, new=2_000), normal=normal, limit=110_000).height == 1


def test_of_whom_it_was_never_measured_whether_it_creates_series_nothing_is_told() -> None:
    normal = who_creates(0.0, held=30_000).filter(signal=SERIES)

    assert exploded(in_memory(held=31_000, new=900), normal=normal, limit=100_000).is_empty()


@pytest.mark.parametrize(("times", "is_blast"), [(1.6, False), (1.7, False), (1.9, True)])
def test_what_a_deployment_needs_is_what_the_buffer_of_the_limits_is_for(
    times: float,
    is_blast: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert found(look(times * 10_000), normal=usual(10_000)).is_empty() != is_blast


def test_who_has_grown_is_compared_with_what_it_is_now() -> None:
    grown = usual(2_000, lift=5.0, near=10_500)

    assert found(look(15_000), normal=grown).is_empty()
    assert found(look(20_000), normal=grown)["usual"].to_list() == pytest.approx([10_000])


def test_who_has_bursts_within_its_hours_has_them_at_any_hour() -> None:
    assert found(look(60_000), normal=usual(10_000, crest=6.0)).is_empty()
    assert not found(look(70_000), normal=usual(10_000, crest=6.0)).is_empty()


def test_a_peak_of_another_hour_hides_no_blast_of_this_one_but_of_a_young_tenant() -> None:
    of_the_afternoon = 25_000

    assert not found(look(20_000), normal=usual(10_000, peak=of_the_afternoon)).is_empty()
    young = usual(6_000, points=0, peak=of_the_afternoon)
    assert found(look(20_000), normal=young).is_empty()


def test_a_threshold_that_nobody_set_by_hand_says_nothing_of_a_few_queries() -> None:
    normal = usual(0.1, kind="queries", points=0)
    few = detect(
        look(2.0, kind="queries"),
        usual=normal,
        thresholds=from_usual(levels(normal), settings=parse_settings({})),
        limits=pl.DataFrame(schema=LIMITS),
        sensitivity=Sensitivity(absolute=NO_LIMIT, least=LEAST),
    )

    assert few.is_empty()


def test_new_series_that_a_cap_of_ours_refuses_are_asked_for_all_the_same() -> None:
    """Else the end of the cap would let in what it kept out."""
    refusal = pl.DataFrame(
        [(NOON, "a", DISCARDED_SERIES_LIMIT, 900.0, 1.0)], schema=SAMPLES, orient="row"
    )
    latest = pl.concat([in_memory(held=33_000, new=0.0), refusal])

    def asked(state: str, kinds: str) -> float:
        row = {"tenant": "a", "state": state, "kinds": kinds}
        seen = uncensored(latest, breakers=pl.DataFrame([row], schema=BREAKERS))
        return seen.filter(tenant="a", signal=SERIES_CREATED_RATE)["value"].item()

    assert asked("open", "ingestion,series") == asked("half_open", "series") == 900
    assert asked("open", "ingestion") == asked("cooling", "series") == 0
    assert uncensored(latest, breakers=pl.DataFrame(schema=BREAKERS)).equals(latest)
