"""What becomes of a tenant that asks for nothing any more, and of one that is gone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from flows.optimize import optimize
from flows.protect import protect
from storage.decisions import latest_decisions

INTERVAL = 15.0
TENANT = "bursty-1"
LONG_AGO = timedelta(days=31)

NewWorld = Callable[..., Any]


def looked_for_a_month(world: Any, *, column: str) -> None:  # noqa: ANN401 - the world of conftest
    """Let the hours of a month have been looked at, in which the column of TENANT stood still."""
    cursor = world.database.cursor()
    since, until = world.clock() - LONG_AGO, world.clock()
    cursor.execute(
        "insert into looked_hours select unnest(generate_series("
        "date_trunc('hour', ?::timestamptz), ?::timestamptz, interval 1 hour)) "
        "on conflict do nothing",
        [since, until],
    )
    cursor.execute(f"update tenants set {column} = ? where tenant = ?", [since, TENANT])


def reasons(world: Any) -> set[str]:  # noqa: ANN401 - as above
    decided = latest_decisions(world.database, tenant=TENANT)
    return set(decided.filter(pl.col("outcome") == "withheld")["reason"])


@pytest.fixture
async def world(new_world: NewWorld) -> Any:  # noqa: ANN401 - as above
    made = new_world()
    await made.run(protect)
    await made.run(optimize, after=INTERVAL)
    await made.run(protect, after=INTERVAL)
    return made


async def test_an_idle_tenant_keeps_its_limits_and_nothing_is_decided_of_it(world: Any) -> None:  # noqa: ANN401 - as above
    before = world.limits()
    assert (TENANT, "ingestion_rate") in before
    looked_for_a_month(world, column="last_demand")

    await world.run(optimize, after=INTERVAL)

    assert "idle" in reasons(world)
    assert world.limits() == before


async def test_what_was_decided_for_a_tenant_that_is_gone_is_withdrawn(world: Any) -> None:  # noqa: ANN401 - as above
    others = {key for key in world.limits() if key[0] != TENANT}
    looked_for_a_month(world, column="last_seen")

    await world.run(optimize, after=INTERVAL)

    assert "gone" in reasons(world)
    assert {tenant for tenant, _ in world.limits()} == {tenant for tenant, _ in others}
    assert TENANT not in set(world.layer("optimized")["tenant"])


async def test_a_tenant_that_returns_is_at_work_again(world: Any) -> None:  # noqa: ANN401 - as above
    looked_for_a_month(world, column="last_seen")
    await world.run(optimize, after=INTERVAL)

    await world.run(protect, after=120)
    await world.run(optimize, after=INTERVAL)

    assert "gone" not in reasons(world)
    assert (TENANT, "ingestion_rate") in world.limits()
