"""A tenant of a simulated Mimir that two teams share: from the look to what each team pays."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import polars as pl
import pytest

from flows.cost import cost
from flows.protect import protect
from policy.cost.periods import Period
from storage.spending import spent
from tasks.say import DECISIONS
from tests.flows.books import Books
from tests.flows.conftest import World

HOUR = timedelta(hours=1)
PRICED = {
    "costMethod": "series",
    "prices": [{"from": "2026-01-01", "perThousandSeriesHours": 1}],
    "attribution": {"label": "team"},
}


async def looked_at_for_an_hour(world: World) -> Period:
    """Look every five minutes, and once the hour is over run the flow `cost`; the hour."""
    start = world.clock()
    for _ in range(11):
        await world.run(protect, after=300)
    await world.run(cost, after=600)
    return Period(start=start, end=start + HOUR)


async def test_each_team_pays_its_part_and_the_rest_is_unattributed(
    new_world: Callable[..., World],
) -> None:
    """
    The simulator labels half of the series of diurnal-1 payments, three tenths search, and the
    rest not at all. Each process rounds down, so a part is right but for a few series.
    """
    world = new_world(past=False, tree={"costControl": PRICED})

    hour = await looked_at_for_an_hour(world)

    by_team = spent(world.database, [hour], by_team=True).filter(tenant="diurnal-1")
    paid = dict(by_team.select("team", "amount").iter_rows())
    (whole,) = spent(world.database, [hour]).filter(tenant="diurnal-1")["amount"]
    assert sum(paid.values(), Decimal(0)) == whole
    parts = {team: float(amount / whole) for team, amount in paid.items()}
    assert parts == pytest.approx({"payments": 0.5, "search": 0.3, "unattributed": 0.2}, abs=0.001)
    others = spent(world.database, [hour], by_team=True).filter(pl.col("tenant") != "diurnal-1")
    assert set(others["team"]) == {"unattributed"}


async def test_what_cannot_be_read_is_said_once_and_nothing_else_waits_for_it(
    new_world: Callable[..., World], caplog: pytest.LogCaptureFixture
) -> None:
    world = new_world(
        past=False,
        tree={"costControl": {"attribution": {"label": "team", "path": "/nowhere"}}},
    )

    for _ in range(2):
        await world.run(protect, after=60)

    told = [each.getMessage() for each in caplog.records if "/nowhere" in each.getMessage()]
    assert len(told) == 1
    assert "registry-path" in told[0]
    assert world.runtime.memory.scrape is not None
    assert world.runtime.memory.scrape.at == world.clock()


async def test_a_tenant_with_more_teams_than_mimir_tells_apart_is_named(
    books: Callable[..., Books], caplog: pytest.LogCaptureFixture
) -> None:
    world = books()
    world.use("acme", 1.0)
    world.ask("acme", days=1, **{"attributed_active_series:__overflow__": 5.0})

    with caplog.at_level(logging.INFO, logger=DECISIONS):
        await world.run()

    assert "cost: a part of acme is unattributed" in caplog.text
    assert "max_cost_attribution_cardinality" in caplog.text
