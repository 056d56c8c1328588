from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flows.vitals import Vitals

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
INTERVAL = timedelta(seconds=15)


def test_before_the_first_success_we_are_not_ready() -> None:
    vitals = Vitals(born_at=NOON)

    assert vitals.problems(now=NOON, stale_after=MINUTE) == ["protect has not succeeded yet"]


def test_a_failed_first_run_says_why_we_are_not_ready() -> None:
    vitals = Vitals(born_at=NOON)
    vitals.began("protect", at=NOON)
    vitals.ended("protect", at=NOON, problem="no Mimir")

    assert vitals.problems(now=NOON, stale_after=MINUTE) == [
        "protect has not succeeded yet: no Mimir"
    ]


def test_a_success_makes_us_ready_until_it_is_stale() -> None:
    vitals = Vitals(born_at=NOON, coverage=1.0)
    vitals.began("protect", at=NOON)
    vitals.ended("protect", at=NOON, problem=None)

    assert vitals.problems(now=NOON + MINUTE, stale_after=MINUTE) == []
    assert vitals.problems(now=NOON + 2 * MINUTE, stale_after=MINUTE) == [
        "protect last succeeded 120 s ago"
    ]


def test_a_failure_keeps_the_time_of_the_last_success() -> None:
    vitals = Vitals(born_at=NOON, coverage=1.0)
    vitals.began("protect", at=NOON)
    vitals.ended("protect", at=NOON, problem=None)
    vitals.began("protect", at=NOON + MINUTE)
    vitals.ended("protect", at=NOON + MINUTE, problem="timed out")

    assert vitals.flows["protect"].succeeded_at == NOON
    assert vitals.problems(now=NOON + 3 * MINUTE, stale_after=MINUTE) == [
        "protect last succeeded 180 s ago: timed out"
    ]


def test_no_answer_from_mimir_is_a_problem_of_its_own() -> None:
    vitals = Vitals(born_at=NOON, coverage=0.0)

    found = vitals.problems(now=NOON, stale_after=MINUTE)

    assert "no Mimir process answered the newest scrape" in found


def test_the_loop_has_stalled_when_nothing_began_for_long() -> None:
    vitals = Vitals(born_at=NOON)
    vitals.began("cost", at=NOON + MINUTE)

    assert not vitals.stalled(now=NOON + 10 * MINUTE, interval=INTERVAL)
    assert vitals.stalled(now=NOON + 12 * MINUTE, interval=INTERVAL)
