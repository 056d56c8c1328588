"""What creeps up day by day is told once as what it is, and no habit is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from benchmarks.shapes import SHAPES, past
from policy.frames import LIMITS
from policy.leaks import LEAKS, judged
from policy.signals import SAMPLES_ASKED, SERIES
from storage.database import Database, write_frame
from storage.leaks import MOST_SUM, creep_on, creeping, replace_running, running_leaks

BEGIN = datetime(2026, 8, 3, tzinfo=UTC)
DAY = timedelta(days=1)
KNOWN_DAYS = 42
INSERT = """
    insert into peaks_hourly by name
    select
        "at", tenant, "limit" as signal, highest as max, peak as calm, sustained, mean,
        mean as sum, 1 as count, 1.0 as coverage, points, "at" as last_at
    from incoming
"""


def two_signals(*, days: int, series_rise: float = 0.0, samples_rise: float = 0.0) -> pl.DataFrame:
    """HOURS of a tenant of each shape, which from KNOWN_DAYS on rises by so much a day."""
    found = []
    for signal, rise in ((SERIES, series_rise), (SAMPLES_ASKED, samples_rise)):
        hours = past(begin=BEGIN, days=days, tenants=1, seed=len(signal), limit=signal)
        since = (pl.col("at") - (BEGIN + KNOWN_DAYS * DAY)).dt.total_seconds() / 86_400
        factor = (1 + rise) ** since.clip(0.0)
        values = ("peak", "highest", "sustained", "mean")
        found.append(hours.with_columns(pl.col(value) * factor for value in values))
    return pl.concat(found)


def remember(database: Database, hours: pl.DataFrame) -> None:
    with database.transaction() as cursor:
        write_frame(cursor, INSERT, hours)


def live(
    database: Database, *, days: range, limits: pl.DataFrame | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Judge each of the days; the LEAKS that began, as they were told, and those that ended."""
    began, ended = [LEAKS.to_frame()], [LEAKS.to_frame()]
    for day in days:
        now = BEGIN + day * DAY + timedelta(minutes=17)
        newest = creep_on(database, now=now)
        assert newest is not None
        begins, on, over = judged(
            running_leaks(database),
            creeping=creeping(database, day=newest),
            limits=LIMITS.to_frame() if limits is None else limits,
            now=now,
        )
        replace_running(database, pl.concat([begins, on]), over=over)
        began.append(begins)
        ended.append(over)
    return pl.concat(began), pl.concat(ended)


def test_habits_are_no_leak_in_thirty_days_and_growth_is_told_once_as_what_it_is(
    database: Database,
) -> None:
    """
    The growth is 0.4 % a day, and so it takes weeks until it is sure.
    """
    days = 30 + 44
    remember(database, two_signals(days=days))

    began, ended = live(database, days=range(days - 30, days + 1))

    assert set(SHAPES) >= {"flat", "weekly", "random", "churn", "blast", "step"}
    assert began.select("tenant", "kind").rows() == [("growth-00", "growth")]
    assert ended.is_empty()


def test_series_that_rise_without_samples_are_a_leak_with_since_when_and_how_much_a_day(
    database: Database,
) -> None:
    remember(database, two_signals(days=KNOWN_DAYS + 20, series_rise=0.03))
    still = ("flat-00", "weekly-00", "random-00", "churn-00", "monthly-00")

    began, ended = live(database, days=range(KNOWN_DAYS, KNOWN_DAYS + 21))

    leaks = began.filter(pl.col("tenant").is_in(still))
    assert sorted(leaks["tenant"]) == sorted(still)
    assert leaks["signal"].unique().to_list() == [SERIES]
    assert leaks["kind"].unique().to_list() == ["leak"]
    late = (leaks["told_at"] - (BEGIN + KNOWN_DAYS * DAY)).dt.total_days()
    assert late.max() is not None
    assert 3 < late.min() <= late.max() <= 14  # type: ignore[operator]
    rate = leaks.select(pl.col("per_day") / pl.col("to_value")).to_series()
    assert all(value == pytest.approx(0.03, rel=0.5) for value in rate)
    assert ended.is_empty()


def test_series_and_samples_that_rise_alike_are_growth_and_one_word(database: Database) -> None:
    remember(database, two_signals(days=KNOWN_DAYS + 14, series_rise=0.03, samples_rise=0.03))

    began, _ = live(database, days=range(KNOWN_DAYS, KNOWN_DAYS + 15))

    flat = began.filter(tenant="flat-00")
    assert flat["kind"].to_list() == ["growth"]


def test_a_leak_that_fell_back_is_over_and_told_as_such_once(database: Database) -> None:
    hours = two_signals(days=KNOWN_DAYS + 20, series_rise=0.05).filter(tenant="flat-00")
    healthy = two_signals(days=KNOWN_DAYS + 40).filter(tenant="flat-00")
    healed = BEGIN + (KNOWN_DAYS + 20) * DAY
    remember(database, pl.concat([hours, healthy.filter(pl.col("at") >= healed)]))

    began, ended = live(database, days=range(KNOWN_DAYS, KNOWN_DAYS + 41))

    assert began["tenant"].to_list() == ended["tenant"].to_list() == ["flat-00"]
    assert healed < ended["over_at"][0] < healed + 2 * DAY
    assert running_leaks(database).is_empty()


def test_days_that_nobody_judged_are_made_up_for_and_none_is_judged_twice(
    database: Database,
) -> None:
    remember(database, two_signals(days=KNOWN_DAYS).filter(tenant="flat-00"))
    noon = BEGIN + KNOWN_DAYS * DAY + DAY / 2

    creep_on(database, now=noon - 3 * DAY)
    creep_on(database, now=noon)
    creep_on(database, now=noon)

    judged_days = database.cursor().execute(
        'select "at" from creep_days where signal = ? order by "at"', [SERIES]
    )
    newest = [at for (at,) in judged_days.fetchall()][-5:]
    assert newest == [BEGIN + (KNOWN_DAYS - age) * DAY for age in (5, 4, 3, 2, 1)]


def test_days_that_are_made_up_for_at_once_come_to_the_same_sum(database: Database) -> None:
    hours = two_signals(days=KNOWN_DAYS + 5, series_rise=0.03).filter(tenant="flat-00")
    remember(database, hours)
    sums = f'select "at", sum, since from creep_days where signal = \'{SERIES}\' order by "at"'
    end = BEGIN + (KNOWN_DAYS + 5) * DAY
    for age in range(30, -1, -1):
        creep_on(database, now=end - age * DAY)
    day_by_day = database.cursor().execute(sums).fetchall()

    database.cursor().execute("delete from creep_days")
    creep_on(database, now=end)

    at_once = database.cursor().execute(sums).fetchall()
    assert at_once[-30:] == day_by_day[-30:]
    assert at_once[-1][1] > at_once[-2][1] > 0


def test_the_sum_of_a_step_is_bounded_so_that_it_is_forgotten(database: Database) -> None:
    remember(database, two_signals(days=KNOWN_DAYS + 20).filter(tenant="step-00"))

    live(database, days=range(KNOWN_DAYS - 10, KNOWN_DAYS + 21))

    (most,) = database.cursor().execute("select max(sum) from creep_days").fetchone() or (None,)
    assert most == MOST_SUM


def test_of_a_day_with_less_than_half_of_its_hours_nothing_is_said(database: Database) -> None:
    hours = two_signals(days=KNOWN_DAYS).filter(tenant="flat-00")
    last = BEGIN + (KNOWN_DAYS - 1) * DAY
    remember(database, hours.filter(pl.col("at") < last + DAY / 3))

    assert creep_on(database, now=last + 2 * DAY) == last - DAY
