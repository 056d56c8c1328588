"""`maintain` tells what creeps up: once when it begins, and once when it is over."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from flows.maintain import maintain
from policy.signals import SAMPLES_ASKED, SERIES
from storage.audit import newest_entries
from storage.database import write_frame

NewWorld = Callable[..., Any]
DAY = timedelta(days=1)
INSERT = """
    insert into peaks_hourly by name
    select *, mean as max, mean as calm, mean as sum, 1 as count, 12 as points, "at" as last_at
    from incoming
"""


def remember(world: Any, *, day: datetime, series: float) -> None:  # noqa: ANN401 - of conftest
    """The hours of a day of one tenant; its samples/s are always the same."""
    rows = [
        (day + timedelta(hours=hour), "acme", signal, value)
        for hour in range(24)
        for signal, value in ((SERIES, series), (SAMPLES_ASKED, 2_000.0))
    ]
    frame = pl.DataFrame(rows, schema=["at", "tenant", "signal", "mean"], orient="row")
    with world.database.transaction() as cursor:
        write_frame(cursor, INSERT, frame)


def told(world: Any, action: str) -> list[dict[str, Any]]:  # noqa: ANN401 - of conftest
    found = newest_entries(world.database, newest=10_000).filter(action=action)
    return [json.loads(details) for details in found["details"]]


def running(world: Any) -> Any:  # noqa: ANN401 - of conftest
    return world.runtime.telemetry.registry.get_sample_value(
        "mimir_limit_optimizer_leaks", {"kind": "leak"}
    )


async def test_a_leak_is_told_once_when_it_begins_and_once_when_it_is_over(
    new_world: NewWorld,
) -> None:
    world = new_world(past=False, tree={"mode": "dry-run"})
    today = world.clock().replace(hour=0)
    for age in range(38, 7, -1):
        remember(world, day=today - age * DAY, series=30_000)
    for age in range(7, 0, -1):
        remember(world, day=today - age * DAY, series=30_000 * 1.1 ** (8 - age))

    first = await world.run(maintain)
    leaking = running(world)
    again = await world.run(maintain, after=3_600)
    remember(world, day=today, series=30_000)
    last = await world.run(maintain, after=86_400)

    assert [line.split(":")[0] for line in first] == ["acme  creeps up"]
    assert again == []
    assert [line.split(":")[0] for line in last] == ["acme  rises no more"]
    assert (leaking, running(world)) == (1, 0)
    (began,), (over,) = told(world, "leak_began"), told(world, "leak_over")
    assert began["from"] == over["from"]
    assert began["reason"] in first[0]
    view = world.database.cursor().execute("select tenant, over_at from v_leaks").fetchall()
    assert view == [("acme", world.clock())]


async def test_nothing_is_said_of_a_tenant_that_is_not_looked_after(new_world: NewWorld) -> None:
    scoped = {"tenantScoping": {"skipList": ["acme"]}}
    world = new_world(past=False, tree={"mode": "dry-run", **scoped})
    today = world.clock().replace(hour=0)
    for age in range(38, 0, -1):
        remember(world, day=today - age * DAY, series=30_000 * 1.1 ** max(0, 8 - age))

    assert await world.run(maintain) == []
