"""Whom a report draws, how limits went, and how long breakers were held."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from policy.frames import LIMITS
from policy.report import (
    COUNTED,
    KNOWN,
    TURNED,
    charted,
    limit_lines,
    merged,
    rows,
    spans,
)
from tests.policy.stood import standing, standings_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
RATE, SERIES, BURST = "ingestion_rate", "max_global_series_per_user", "ingestion_burst_size"
NEVER = pl.DataFrame(schema=COUNTED)


def counted(*told: tuple[str, str, int, int]) -> pl.DataFrame:
    return pl.DataFrame(list(told), schema=COUNTED, orient="row")


def known(*told: tuple[int, str, str, float | None]) -> pl.DataFrame:
    each = [(NOW - ago * HOUR, tenant, limit, value) for ago, tenant, limit, value in told]
    return pl.DataFrame(each, schema=KNOWN, orient="row")


def turned(*told: tuple[float, str, str, str]) -> pl.DataFrame:
    each = [(NOW - ago * HOUR, *turn, "ingestion", "why") for ago, *turn in told]
    return pl.DataFrame(each, schema=TURNED, orient="row")


def lines_of(frame: pl.DataFrame, *own: tuple[str, str, float]) -> list[tuple[int, float | None]]:
    found = limit_lines(
        frame,
        own=pl.DataFrame(list(own), schema=LIMITS, orient="row"),
        until=NOW,
        endless=frozenset({SERIES}),
    )
    return [((NOW - at) // HOUR, value) for at, value in found.select("at", "value").iter_rows()]


def test_the_riskiest_are_drawn_and_then_those_of_which_most_was_changed() -> None:
    stood = standings_of(
        standing("calm"),
        standing("changed", utilisation=0.1),
        standing("changed-more", utilisation=0.1),
        standing("full", severity="warning", utilisation=0.9),
        standing("refused", severity="critical", pressed_days_ago=0),
        standing("never", utilisation=None, severity="unknown"),
    )
    changes = counted(("changed", RATE, 1, 0), ("changed-more", RATE, 2, 1))

    found = charted(stood, counted=changes, riskiest=2, changed=1)

    assert found["tenant"].to_list() == ["refused", "full", "changed-more"]
    assert found["rank"].to_list() == [0, 1, 2]


def test_of_a_tenant_the_limit_at_most_risk_and_the_one_most_changed_are_drawn() -> None:
    stood = standings_of(
        standing("a", RATE, utilisation=0.3),
        standing("a", SERIES, severity="critical", pressed_days_ago=0),
        standing("a", BURST, utilisation=0.6),
    )

    assert charted(stood, counted=NEVER)["limit"].to_list() == [SERIES, BURST]
    assert charted(stood, counted=counted(("a", RATE, 0, 1)))["limit"].to_list() == [SERIES, RATE]


def test_a_line_has_a_step_where_the_limit_changed_and_goes_on_to_the_end() -> None:
    told = known((5, "a", RATE, 10.0), (4, "a", RATE, 10.0), (3, "a", RATE, 20.0))

    assert lines_of(told) == [(5, 10.0), (3, 20.0), (0, 20.0)]


def test_where_ours_was_withdrawn_the_operators_own_holds_or_nothing_is_known() -> None:
    told = known((5, "a", RATE, 10.0), (3, "a", RATE, None))

    assert lines_of(told, ("a", RATE, 7.0)) == [(5, 10.0), (3, 7.0), (0, 7.0)]
    assert lines_of(told) == [(5, 10.0), (3, None), (0, None)]


def test_no_limit_is_no_line_at_zero() -> None:
    assert lines_of(known((5, "a", SERIES, 0.0))) == [(5, None), (0, None)]
    assert lines_of(known((5, "a", RATE, 0.0))) == [(5, 0.0), (0, 0.0)]


def test_lines_of_two_tenants_do_not_run_into_each_other() -> None:
    told = known((5, "a", RATE, 10.0), (5, "b", RATE, 10.0))

    assert lines_of(told) == [(5, 10.0), (0, 10.0)] * 2


def test_a_breaker_is_held_from_its_turn_to_the_next_or_until_now() -> None:
    told = turned(
        (6, "a", "closed", "open"),
        (5, "a", "open", "half_open"),
        (4, "a", "half_open", "cooling"),
        (1, "b", "closed", "watch"),
    )

    found = spans(told, since=NOW - 24 * HOUR, until=NOW)

    assert found.rows() == [
        ("a", "open", NOW - 6 * HOUR, NOW - 5 * HOUR),
        ("a", "half_open", NOW - 5 * HOUR, NOW - 4 * HOUR),
        ("b", "watch", NOW - HOUR, NOW),
    ]


def test_a_breaker_that_was_open_before_the_window_is_so_from_its_begin() -> None:
    found = spans(turned((2, "a", "open", "cooling")), since=NOW - 24 * HOUR, until=NOW)

    assert found.rows() == [("a", "open", NOW - 24 * HOUR, NOW - 2 * HOUR)]


def test_spans_that_begin_together_are_one_of_so_many_times() -> None:
    many = [(6 - n / 60, "a", "closed", "open") for n in range(40)]
    turns = pl.concat(
        turned(*told)
        for told in (
            many,
            [(ago - 0.5 / 60, "a", "open", "closed") for ago, *_ in many],
            [(2, "a", "closed", "open"), (1, "b", "closed", "open")],
        )
    )
    found = spans(turns, since=NOW - 24 * HOUR, until=NOW)

    assert found.height == 42
    assert merged(found, seconds=3600).select("tenant", "starts", "ends", "times").rows() == [
        ("a", NOW - 6 * HOUR, NOW - 6 * HOUR + HOUR * (39.5 / 60), 40),
        ("a", NOW - 2 * HOUR, NOW, 1),
        ("b", NOW - HOUR, NOW, 1),
    ]


def test_a_tenant_is_told_by_its_worst_limit_and_one_that_was_not_judged_comes_last() -> None:
    columns = dict.fromkeys(("tenant", "team", "tier", "state"), pl.String())
    named = [(name, None, None, "seen") for name in ("new", "a")]
    names = pl.DataFrame(named, schema=columns, orient="row")
    stood = standings_of(
        standing("a", RATE, utilisation=0.99),
        standing("a", SERIES, severity="critical", pressed_days_ago=0),
    )

    found = rows(
        names,
        standings=stood,
        counted=counted(("a", RATE, 2, 1), ("a", SERIES, 0, 1)),
        turns=turned((2, "a", "closed", "open"), (1, "a", "open", "cooling")),
    )

    told = found.select("tenant", "severity", "limit", "changes", "openings").rows()
    assert told == [("a", "critical", SERIES, 4, 1), ("new", None, None, 0, 0)]
