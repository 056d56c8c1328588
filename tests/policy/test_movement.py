"""All tenants together: what the cluster can take, and what one run may change."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl
import pytest

from policy import scrape as families
from policy.automation import MODES
from policy.capacity import Capacity, capacity_of
from policy.evidence import CHANGED, Evidence
from policy.frames import LIMITS, MOVES, READINGS
from policy.leanings import LEANINGS
from policy.recommend import recommend
from policy.rules import Rules
from policy.scrape import Scrape
from tests.policy.estimated import NOON, estimated, estimates

RATE, SERIES = "ingestion_rate", "max_global_series_per_user"
RULES = Rules(buffer_percentage=25, limits=(RATE,), max_changes=2, max_tenants_share=0.5)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
LOW, HIGH = 1_000.0, 9_500.0  # of a limit of 10,000: far below it, and as good as reached


def decided(
    *rows: dict[str, object], rules: Rules = RULES, now_is: float = 10_000, **known: object
) -> pl.DataFrame:
    current = pl.DataFrame(
        [(row["tenant"], row["limit"], now_is) for row in rows], schema=LIMITS, orient="row"
    )
    evidence = Evidence(
        estimates=estimates(*rows),
        current=current,
        coverage=1.0,
        **known,  # type: ignore[arg-type]
    )
    return recommend(evidence, rules=rules, now=NOON).decisions


def told(frame: pl.DataFrame) -> dict[str, str]:
    return dict(frame.select("tenant", "reason").iter_rows())


def test_a_run_changes_first_who_is_refused_and_then_who_is_nearest_to_the_limit() -> None:
    rows = [
        estimated(9_000.0, tenant="far"),
        estimated(9_900.0, tenant="near"),
        estimated(8_800.0, tenant="refused", pressure=5.0, pressed_days_ago=0),
        estimated(8_500.0, tenant="farther"),
    ]

    found = decided(*rows)

    assert told(found) == {
        "refused": "above_dead_band",
        "near": "above_dead_band",
        "far": "run_budget",
        "farther": "run_budget",
    }
    waiting = found.filter(tenant="far").row(0, named=True)
    assert (waiting["outcome"], waiting["after"]) == ("withheld", 10_000)
    assert waiting["detail"].startswith("would be raised to 12,000; this run changed 2 tenants")


def test_a_large_cluster_changes_a_share_of_its_tenants() -> None:
    rows = [estimated(HIGH, tenant=f"t{number}") for number in range(10)]

    found = decided(*rows)

    assert found.filter(outcome="raise").height == 5


SERIES_ONLY = Rules(buffer_percentage=25, limits=(SERIES,), max_changes=100)
# Nine ingesters, three copies: a limit gives each of them a third of it.
ROOM = Capacity(ingesters=9, copies=3, series_line=1_200_000, series_slack=20_000)


def test_a_raise_that_would_fill_the_busiest_ingester_is_withheld() -> None:
    """125,000 minus 100,000 in use, by 3 / 9, is 8,334 an ingester; twice as large it is 83,334."""
    small = estimated(100_000.0, tenant="small", limit=SERIES)
    large = estimated(1_000_000.0, tenant="large", limit=SERIES)

    found = told(decided(small, large, rules=SERIES_ONLY, now_is=99_000, capacity=ROOM))

    assert found == {"small": "above_dead_band", "large": "above_dead_band"}

    tight = replace(ROOM, series_slack=8_000)
    found = told(decided(small, rules=SERIES_ONLY, now_is=99_000, capacity=tight))
    assert found == {"small": "capacity_short"}


def test_where_all_limits_are_more_than_the_cluster_holds_only_who_is_refused_is_raised() -> None:
    full = replace(ROOM, series_line=50_000, series_slack=45_000)
    rows = [
        estimated(100_000.0, tenant="content", limit=SERIES),
        estimated(100_000.0, tenant="refused", limit=SERIES, pressure=2.0, pressed_days_ago=0),
    ]

    found = told(decided(*rows, rules=SERIES_ONLY, now_is=99_000, capacity=full))

    assert found == {"content": "capacity_short", "refused": "above_dead_band"}


def test_without_instance_limits_nothing_is_held_back() -> None:
    row = estimated(100_000.0, limit=SERIES)

    found = decided(row, rules=SERIES_ONLY, now_is=99_000, capacity=Capacity(ingesters=9, copies=3))

    assert told(found) == {"a": "above_dead_band"}


def reading(pod: str, family: str, value: float, limit: str | None = None) -> dict[str, object]:
    row = {"at": NOON, "pod": pod, "family": family, "limit": limit, "value": value}
    return dict.fromkeys(READINGS.names()) | row


def test_the_capacity_is_that_of_the_instance_limits_and_the_fullest_process() -> None:
    rows = [
        reading("ingester-0", families.INGESTER_LIMITS, 1_000_000, "max_series"),
        reading("ingester-1", families.INGESTER_LIMITS, 1_000_000, "max_series"),
        reading("ingester-0", families.INGESTER_SERIES, 300_000),
        reading("ingester-1", families.INGESTER_SERIES, 500_000),
        reading("distributor-0", families.DISTRIBUTOR_LIMITS, 0, "max_ingestion_rate"),
        reading("distributor-0", families.DISTRIBUTOR_INGESTION, 900),
        reading("distributor-0", families.REPLICATION_FACTOR, 3),
    ]
    pods = ("ingester-0", "ingester-1", "distributor-0")
    scrape = Scrape(at=NOON, readings=pl.DataFrame(rows, schema=READINGS), answered=pods, failed={})

    found = capacity_of(scrape, share=0.8)

    assert found == Capacity(
        ingesters=2,
        copies=3,
        series_line=800_000,
        series_slack=300_000,
        distributors=1,
        samples_line=None,
    )


def known(name: str, schema: pl.Schema, *row: object) -> dict[str, pl.DataFrame]:
    return {name: pl.DataFrame([("a", RATE, *row)], schema=schema, orient="row")}


def moved(
    raised_at: datetime | None = None, *, reversals: int = 0, reverts: int = 0, failed: int = 0
) -> dict[str, pl.DataFrame]:
    return known("moves", MOVES, raised_at, None, reversals, reverts, failed)


def changed(ago: timedelta) -> dict[str, pl.DataFrame]:
    return known("changed", CHANGED, NOON - ago)


AGREED = known("leanings", LEANINGS, 2)


@pytest.mark.parametrize(
    ("peak", "evidence", "reason"),
    [
        pytest.param(LOW, {}, "waiting_to_agree", id="the first run"),
        pytest.param(LOW, AGREED, "below_dead_band", id="the third run in a row"),
        pytest.param(LOW, AGREED | moved(NOON - 6 * DAY), "raised_lately"),
        pytest.param(LOW, AGREED | moved(NOON - 8 * DAY), "below_dead_band"),
        pytest.param(
            LOW, AGREED | {"ingesters_changed_at": NOON - timedelta(hours=23)}, "ring_changed"
        ),
        pytest.param(
            LOW, AGREED | {"ingesters_changed_at": NOON - timedelta(hours=24)}, "below_dead_band"
        ),
        pytest.param(HIGH, {"ingesters_changed_at": NOON}, "above_dead_band"),
        pytest.param(LOW, AGREED | moved(failed=2), "below_dead_band"),
        pytest.param(LOW, AGREED | moved(failed=3), "degraded"),
        pytest.param(HIGH, moved(failed=5), "above_dead_band", id="a degraded one is raised"),
        pytest.param(LOW, AGREED | changed(3 * DAY), "below_dead_band"),
        pytest.param(
            LOW, AGREED | changed(6 * DAY - HOUR) | moved(reverts=1, failed=1), "cooling_down"
        ),
        pytest.param(
            LOW, AGREED | changed(6 * DAY) | moved(reverts=1, failed=1), "below_dead_band"
        ),
        pytest.param(
            LOW, AGREED | changed(48 * DAY - HOUR) | moved(reverts=9, failed=2), "cooling_down"
        ),
        pytest.param(
            LOW, AGREED | changed(48 * DAY) | moved(reverts=9, failed=2), "below_dead_band"
        ),
        pytest.param(HIGH, moved(reversals=3), "flapping"),
        pytest.param(HIGH, moved(reversals=2), "above_dead_band"),
        pytest.param(HIGH, known("modes", MODES, "observe", "both", None, False), "observed"),
        pytest.param(HIGH, known("modes", MODES, "recommend", "both", None, False), "recommended"),
        pytest.param(HIGH, known("modes", MODES, "frozen", "both", None, False), "frozen"),
        pytest.param(HIGH, known("modes", MODES, "auto", "down", None, False), "only_down"),
        pytest.param(LOW, AGREED | known("modes", MODES, "auto", "up", None, False), "only_up"),
        pytest.param(HIGH, known("modes", MODES, "canary", "both", None, False), "canary_first"),
        pytest.param(HIGH, known("modes", MODES, "canary", "both", None, True), "above_dead_band"),
        pytest.param(
            HIGH,
            known("modes", MODES, "canary", "both", None, False) | {"canary_proven": {RATE}},
            "above_dead_band",
        ),
        pytest.param(HIGH, {"unproven": "no backtest"}, "backtest_needed"),
        pytest.param(LOW, AGREED | {"unproven": "no backtest"}, "backtest_needed"),
        pytest.param(
            HIGH,
            known("modes", MODES, "canary", "both", None, True) | {"unproven": "no backtest"},
            "backtest_needed",
        ),
        pytest.param(
            HIGH,
            known("modes", MODES, "recommend", "both", None, False) | {"unproven": "no backtest"},
            "recommended",
        ),
    ],
)
def test_what_keeps_a_limit_where_it_is(
    peak: float, evidence: dict[str, object], reason: str
) -> None:
    found = decided(estimated(peak), **evidence).row(0, named=True)

    assert found["reason"] == reason
    assert (found["after"] == found["before"]) == (found["outcome"] == "withheld")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"confidence": 0.79, "days": 11}, "little_confidence"),
        ({"upper": 9_000.0}, "believable"),
        ({"pressure": 1.0, "pressed_days_ago": 7}, "under_pressure"),
        ({"pressure": None, "pressed_days_ago": 8}, "below_dead_band"),
    ],
)
def test_a_lowering_needs_evidence_that_is_sure(row: dict[str, object], reason: str) -> None:
    assert told(decided(estimated(LOW, **row), **AGREED)) == {"a": reason}


def test_what_is_left_to_people_says_what_would_have_been_done_and_why_it_is() -> None:
    mode = known("modes", MODES, "recommend", "both", "payday", False)

    detail = decided(estimated(HIGH), **mode)["detail"].item()

    assert detail.startswith("would be raised to 12,000 (")
    assert detail.endswith("that is left to people: payday")


def test_a_raise_goes_up_by_the_step_and_the_next_run_goes_on() -> None:
    first = decided(estimated(50_000.0), rules=replace(RULES, max_raise_step=1.0))
    second = decided(estimated(50_000.0), now_is=first["after"].item())

    assert (first["after"].item(), second["after"].item()) == (20_000, 40_000)
    assert "at most 100 % higher at once" in first["detail"].item()


def test_leanings_end_when_the_evidence_does_not_point_downwards() -> None:
    evidence = Evidence(
        estimates=estimates(estimated(9_000.0)),
        current=pl.DataFrame([("a", RATE, 10_000.0)], schema=LIMITS, orient="row"),
        coverage=1.0,
        **AGREED,
    )
    high = recommend(evidence, rules=RULES, now=NOON).leanings
    low = recommend(
        replace(evidence, estimates=estimates(estimated(LOW))), rules=RULES, now=NOON
    ).leanings

    assert high.is_empty()
    assert low.rows() == [("a", RATE, 3)]
