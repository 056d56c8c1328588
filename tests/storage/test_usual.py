"""What is usual comes from the same hours of past weeks, and from what is like them."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from functools import partial

import polars as pl
import pytest

from policy.signals import BLASTING, SAMPLES_ASKED
from policy.usual import LEAST_POINTS, USUAL
from storage.backtests import Ask
from storage.database import Database, read_frame
from storage.rollups import ROLLUPS, import_rollups
from storage.usual import usual, weekly

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)


def put(
    database: Database, levels: dict[datetime, float], *, now: datetime, **given: str | float
) -> None:
    """One bucket at each of those times, whose peak is `crest` times its level."""
    crest = float(given.get("crest", 1.0))
    tenant, signal = str(given.get("tenant", "t1")), str(given.get("signal", SAMPLES_ASKED))
    rows = [
        (at, tenant, signal, level * crest, level, level, 1, 1.0) for at, level in levels.items()
    ]
    frame = pl.DataFrame(rows, schema=ROLLUPS, orient="row")
    import_rollups(database, frame, now=now, sustained_for=HOUR)


def asked(database: Database) -> Ask:
    return partial(read_frame, database)


def told(database: Database, *, now: datetime, tenant: str | None = None) -> pl.DataFrame:
    ask, signals = asked(database), [SAMPLES_ASKED]
    weeks = weekly(ask, now=now, signals=signals, tenant=tenant)
    return usual(ask, now=now, signals=signals, weeks=weeks, tenant=tenant)


def of_t1(database: Database, *, now: datetime) -> dict[str, float]:
    return told(database, now=now).filter(tenant="t1").row(0, named=True)


def weeks_before(now: datetime, levels: dict[int, float]) -> dict[datetime, float]:
    """Each of the last four weeks alike, by hours after this one."""
    return {
        now - week * WEEK + around * HOUR: level
        for week in range(1, 5)
        for around, level in levels.items()
    }


def test_the_same_hours_of_past_weeks_are_usual_and_the_slope_of_a_day_is_no_unrest(
    database: Database, now: datetime
) -> None:
    put(database, weeks_before(now, {-1: 80.0, 0: 100.0, 1: 120.0}), now=now)

    found = told(database, now=now)

    assert found.schema == USUAL
    assert found["mid"].to_list() == pytest.approx([math.log(100)])
    assert found.select("spread", "points").rows() == [(0.0, 12)]


def test_weeks_that_come_and_go_are_spread_and_a_step_between_two_is_not(
    database: Database, now: datetime
) -> None:
    newest_first = {"restless": (50, 100, 50, 100), "stepped": (150, 150, 100, 100)}
    for tenant, levels in newest_first.items():
        weeks = {now - week * WEEK: float(level) for week, level in enumerate(levels, start=1)}
        put(database, weeks, now=now, tenant=tenant)

    spread = dict(told(database, now=now).select("tenant", "spread").iter_rows())

    assert spread["stepped"] == 0
    assert spread["restless"] == pytest.approx(math.log(2) / math.sqrt(2))


def test_a_lift_is_how_far_the_last_hours_were_above_those_of_the_weeks(
    database: Database, now: datetime
) -> None:
    """The first of them is the one that is not like the others."""
    before = dict.fromkeys(range(-3, 2), 100.0)
    put(database, weeks_before(now, before), now=now)
    put(database, {now - 3 * HOUR: 900.0, now - 2 * HOUR: 300.0, now - HOUR: 300.0}, now=now)

    assert of_t1(database, now=now)["lift"] == pytest.approx(3.0)


def test_near_are_the_same_hours_of_yesterday_and_the_last_three_and_no_other_of_the_day(
    database: Database, now: datetime
) -> None:
    put(database, {now - DAY: 200.0, now - 2 * HOUR: 100.0, now - 12 * HOUR: 900.0}, now=now)

    found = of_t1(database, now=now)

    assert (found["near"], found["peak"]) == (200.0, 900.0)


def test_a_peak_of_the_last_day_is_told_as_a_multiple_of_its_hour(
    database: Database, now: datetime
) -> None:
    put(database, {now - 12 * HOUR: 100.0}, now=now, crest=6.0)

    assert of_t1(database, now=now)["crest"] == pytest.approx(6.0)


def test_the_peak_of_a_blast_is_none_of_these(database: Database, now: datetime) -> None:
    put(database, {now - 2 * HOUR: 900.0}, now=now)
    put(database, {now - 2 * HOUR: 1.0}, now=now, signal=BLASTING)

    found = of_t1(database, now=now)

    assert (found["near"], found["peak"], found["crest"]) == (None, None, None)


@pytest.mark.parametrize(
    ("today", "days", "habit"),
    [
        # None of these days lies whole weeks before.
        ("2026-05-01T12", ["2026-04-01T12", "2026-03-01T13"], True),
        ("2026-02-28T12", ["2026-01-31T12", "2025-12-31T11"], True),
        ("2026-05-31T12", ["2026-04-30T12", "2026-03-31T12"], True),
        ("2026-03-30T12", ["2026-01-30T12", "2025-12-30T12"], True),
        ("2026-05-01T12", ["2026-04-01T12"], False),
        ("2026-05-01T12", ["2026-04-02T12", "2026-03-02T12"], False),
    ],
    ids=[
        "the first",
        "the last of February",
        "the last of May",
        "a day that February lacks",
        "once is no habit",
        "another day",
    ],
)
def test_what_two_of_the_last_months_had_on_the_same_day_is_a_habit(
    database: Database,
    today: str,
    days: list[str],
    habit: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    moment = datetime.fromisoformat(f"{today}:00:00+00:00")
    peaks = {datetime.fromisoformat(f"{day}:00:00+00:00"): 400.0 for day in days}
    put(database, peaks | {moment - HOUR: 100.0}, now=moment)

    assert of_t1(database, now=moment)["near"] == (400.0 if habit else 100.0)


def test_hours_without_demand_are_no_part_of_the_weeks_but_of_late_they_count(
    database: Database, now: datetime
) -> None:
    """Of who creates no series it is known that it does not."""
    put(database, weeks_before(now, {0: 0.0}), now=now)
    put(database, {now - HOUR: 0.0}, now=now)

    found = of_t1(database, now=now)

    assert (found["points"] or 0) < LEAST_POINTS
    assert (found["mid"], found["recent"], found["peak"]) == (None, 0.0, 0.0)


def test_one_tenant_can_be_asked_for(database: Database, now: datetime) -> None:
    put(database, {now - HOUR: 1.0}, now=now)
    put(database, {now - HOUR: 1.0}, now=now, tenant="it's")

    assert told(database, now=now, tenant="it's")["tenant"].to_list() == ["it's"]
    assert set(told(database, now=now)["tenant"]) == {"t1", "it's"}


def test_an_empty_history_knows_nothing(database: Database, now: datetime) -> None:
    found = told(database, now=now)

    assert found.is_empty()
    assert found.schema == USUAL
