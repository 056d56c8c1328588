"""The flow `backtest` stores what it finds, and where one is asked for nothing moves without it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from flows.backtest import backtest
from flows.optimize import optimize
from flows.protect import protect
from flows.proving import PROVES_FOR, unproven
from policy.backtest_policy import digest
from policy.settings import Settings, parse_settings
from storage.backtests import newest_backtest, record_backtest
from storage.database import Database

INTERVAL = 15.0
DAY = timedelta(days=1)
REQUIRED = {"automation": {"requireBacktest": True}}

NewWorld = Callable[..., Any]


def record(database: Database, settings: Settings, *, at: datetime, passed: bool = True) -> None:
    record_backtest(
        database,
        at=at,
        since=at - 60 * DAY,
        until=at,
        policy=digest(settings),
        passed=passed,
        result={},
    )


async def test_what_the_past_shows_is_stored_with_what_stands_against_it(
    new_world: NewWorld,
) -> None:
    """Two weeks are no proof, whatever they show."""
    world = new_world()
    await world.run(protect)
    await world.run(optimize, after=INTERVAL)

    said = await world.run(backtest)

    found = newest_backtest(world.database, policy=digest(world.settings()))
    assert found is not None
    assert not found.passed
    assert DAY < found.until - found.since < 28 * DAY
    told = json.loads(found.result)
    assert told["totals"]["tenants"] > 0
    assert any("days were judged" in why for why in told["why"])
    assert any("days were judged" in line for line in said)


async def test_nothing_moves_until_a_backtest_has_passed(new_world: NewWorld) -> None:
    world = new_world(tree={"mode": "prod", **REQUIRED})
    await world.run(protect)
    await world.run(protect, after=INTERVAL)

    held = await world.run(optimize, after=INTERVAL)
    before = world.limits()
    record(world.database, world.settings(), at=world.clock())
    await world.run(optimize, after=INTERVAL)

    assert before == {}
    assert any("backtest_needed" in line for line in held)
    assert world.limits() != {}


@pytest.mark.parametrize(
    ("made", "says"),
    [
        pytest.param({}, None, id="passed"),
        pytest.param({"passed": False}, "did not pass", id="not passed"),
        pytest.param({"ago": PROVES_FOR}, None, id="just young enough"),
        pytest.param({"ago": PROVES_FOR + timedelta(hours=1)}, "days old", id="too old"),
        pytest.param({"buffer": 50}, "there is none of these settings", id="of other settings"),
    ],
)
def test_a_backtest_proves_the_settings_that_it_judged_for_a_month(
    made: dict[str, Any], says: str | None
) -> None:
    now = datetime.fromisoformat("2026-11-23T12:00:00+00:00")
    settings = parse_settings(REQUIRED)
    tried = parse_settings({"bufferPercentage": made["buffer"]}) if "buffer" in made else settings
    with Database.open(":memory:", clock=lambda: now) as database:
        at = now - made.get("ago", timedelta(0))
        record(database, tried, at=at, passed=made.get("passed", True))

        found = unproven(database, settings, now=now)

    assert (found is None) if says is None else (says in (found or ""))


def test_where_none_is_asked_for_none_is_needed() -> None:
    now = datetime.fromisoformat("2026-11-23T12:00:00+00:00")
    with Database.open(":memory:", clock=lambda: now) as database:
        assert unproven(database, Settings(), now=now) is None


def test_to_ask_for_a_backtest_makes_no_other_policy() -> None:
    assert digest(parse_settings(REQUIRED)) == digest(Settings())
    assert digest(parse_settings({"movement": {"lowerBand": 20}})) != digest(Settings())
