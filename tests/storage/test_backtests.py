"""What is read for a backtest, and what came of one."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import polars as pl

from policy.backtest_known import HOURS
from policy.effective import as_optimized
from policy.frames import DECISIONS, LIMITS
from storage.backtests import (
    hours,
    limits_at,
    newest_backtest,
    record_backtest,
    span,
    tenants,
)
from storage.database import Database, read_frame
from storage.layers import replace_layer
from storage.limits import observe_limits
from storage.moves import record_moves

RATE = "ingestion_rate"
HOUR = timedelta(hours=1)
INSERT = """
    insert into peaks_hourly by name
    select $at as "at", $tenant as tenant, $signal as signal, $highest as max, 5.0 as mean,
        60.0 as sum, 12 as count, $calm as calm, 7.0 as sustained, 12 as points
"""


def peak(
    database: Database,
    at: datetime,
    *,
    tenant: str = "a",
    signal: str = RATE,
    calm: float | None = 10.0,
    highest: float = 10.0,
) -> None:
    database.cursor().execute(
        INSERT,
        {"at": at, "tenant": tenant, "signal": signal, "calm": calm, "highest": highest},
    )


def record(database: Database, at: datetime, *, policy: str = "p", passed: bool = True) -> int:
    return record_backtest(
        database,
        at=at,
        since=at - 28 * 24 * HOUR,
        until=at,
        policy=policy,
        passed=passed,
        result={"totals": {"tenants": 3}, "why": []},
    )


def test_the_span_is_from_the_first_hour_to_the_end_of_the_last(
    database: Database, now: datetime
) -> None:
    ask = partial(read_frame, database)
    before = span(ask)
    peak(database, now - 3 * HOUR)
    peak(database, now - HOUR)

    assert before is None
    assert span(ask) == (now - 3 * HOUR, now)


def test_only_tenants_of_that_time_are_told(database: Database, now: datetime) -> None:
    peak(database, now - 3 * HOUR, tenant="earlier")
    peak(database, now - 2 * HOUR, tenant="b")
    peak(database, now - HOUR, tenant="a")
    peak(database, now, tenant="later")

    found = tenants(partial(read_frame, database), since=now - 2 * HOUR, until=now)

    assert found.to_list() == ["a", "b"]


def test_hours_tell_the_demand_on_each_limit_with_and_without_blasts(
    database: Database, now: datetime
) -> None:
    """Two limits may be read from one signal; a tenant's name is never part of the statement."""
    quoted = "it's"
    peak(database, now - HOUR, tenant=quoted, signal="asked", calm=None, highest=90.0)
    peak(database, now - HOUR, tenant="other", signal="asked")

    found = hours(
        partial(read_frame, database),
        limits={RATE: "asked", "another": "asked"},
        tenants=[quoted],
        since=now - HOUR,
        until=now,
    )

    assert found.schema == HOURS
    assert found.sort("limit").select("tenant", "limit", "at", "peak", "highest").rows() == [
        (quoted, "another", now - HOUR, None, 90.0),
        (quoted, RATE, now - HOUR, None, 90.0),
    ]


def test_a_limit_was_what_its_moves_say_it_was_then(database: Database, now: datetime) -> None:
    """Before the first move what that one found; who was never moved has the limit of now."""
    own = [("", RATE, 100.0), ("b", RATE, 70.0)]
    observe_limits(database, pl.DataFrame(own, schema=LIMITS, orient="row"), at=now)
    entry = pl.DataFrame([("a", RATE, 300.0)], schema=LIMITS, orient="row")
    replace_layer(
        database, "optimized", as_optimized(entry, reason="x", written_at=now), run_id="r"
    )
    made = [
        dict.fromkeys(DECISIONS.names())
        | {"at": at, "tenant": "a", "limit": RATE, "outcome": "raise", "reason": "above_dead_band"}
        | {"before": before, "after": after}
        for at, before, after in [(now - 2 * HOUR, 150.0, 200.0), (now - HOUR, 200.0, 300.0)]
    ]
    record_moves(database, pl.DataFrame(made, schema=DECISIONS), run_id="r")

    def at(moment: datetime) -> dict[str, float]:
        found = limits_at(
            partial(read_frame, database),
            tenants=pl.Series(["a", "b"]),
            limits=[RATE],
            at=moment,
        )
        return dict(found.select("tenant", "value").iter_rows())

    assert at(now - 3 * HOUR) == {"a": 150.0, "b": 70.0}
    assert at(now - 2 * HOUR) == {"a": 200.0, "b": 70.0}
    assert at(now) == {"a": 300.0, "b": 70.0}


def test_the_newest_backtest_is_of_the_policy_that_is_asked_about(
    database: Database, now: datetime
) -> None:
    without = newest_backtest(database)
    record(database, now - 2 * HOUR, policy="old", passed=False)
    number = record(database, now - HOUR, policy="new")

    found = newest_backtest(database)
    old = newest_backtest(database, policy="old")

    assert without is None
    assert found is not None
    assert (found.number, found.at, found.passed) == (number, now - HOUR, True)
    assert old is not None
    assert (old.number, old.passed) == (number - 1, False)
    assert newest_backtest(database, policy="never") is None
