"""A lowering that refuses what was let in before is taken back at the next look."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from flows.optimize import optimize
from flows.protect import protect
from policy.effective import as_optimized
from policy.frames import DECISIONS, LIMITS
from policy.signals import INGESTION_BURST_SIZE, INGESTION_RATE
from storage.database import read_frame
from storage.layers import replace_layer
from storage.moves import moves, record_moves

INTERVAL = 15.0
BURST_IS_SPENT = 6  # looks
MINUTE = timedelta(minutes=1)
TENANT = "steady-1"

NewWorld = Callable[..., Any]


async def lowered_below_demand(world: Any) -> tuple[float, float]:  # noqa: ANN401 - of conftest
    """Lower the rate to half of what the tenant sends, and its burst to ten seconds of that."""
    await world.run(protect)
    await world.run(protect, after=INTERVAL)
    now = world.clock()
    newest = """
        select value from samples where tenant = $tenant and signal = $signal
        order by "at" desc limit 1
    """
    told = {"tenant": TENANT, "signal": INGESTION_RATE}
    asked = read_frame(world.database, newest, told)["value"].item()
    limits = [(TENANT, INGESTION_RATE, asked / 2), (TENANT, INGESTION_BURST_SIZE, asked * 10)]
    entries = pl.DataFrame(limits, schema=LIMITS, orient="row").with_columns(pl.col("value").ceil())
    layer = as_optimized(entries, reason="a wrong lowering", written_at=now)
    made = [
        dict.fromkeys(DECISIONS.names())
        | {"at": now, "outcome": "lower", "reason": "below_dead_band"}
        | {"tenant": TENANT, "limit": limit, "before": world.loaded(TENANT, limit), "after": value}
        for _, limit, value in entries.rows()
    ]
    replace_layer(world.database, "optimized", layer, run_id="r")
    record_moves(world.database, pl.DataFrame(made, schema=DECISIONS), run_id="r")
    before = world.loaded(TENANT)
    await world.run(protect)
    assert asked < before
    return before, entries["value"][0]


async def looks(world: Any, count: int) -> list[str]:  # noqa: ANN401 - of conftest
    return [line for _ in range(count) for line in await world.run(protect, after=INTERVAL)]


async def test_a_lowering_that_refuses_is_taken_back_within_looks(new_world: NewWorld) -> None:
    world = new_world()
    before, after = await lowered_below_demand(world)

    said = await looks(world, BURST_IS_SPENT)

    assert world.loaded(TENANT) == before
    taken = [line for line in said if line.startswith(f"{TENANT}  {INGESTION_RATE}  lowered to")]
    assert len(taken) == 1
    assert taken[0].endswith("the limit before it would have let in; put back")
    history = moves(world.database, now=world.clock(), window=MINUTE).filter(tenant=TENANT)
    assert history.select("reverts", "failed").row(0) == (1, 1)
    (row,) = world.layer("optimized").filter(limit=INGESTION_RATE).iter_rows(named=True)
    assert row["value"] == before > after


@pytest.mark.parametrize(
    "tree",
    [
        pytest.param({"movement": {"agreeingRuns": 1, "watchLowered": "1s"}}, id="not young"),
        pytest.param({"mode": "dry-run"}, id="a dry run"),
    ],
)
async def test_what_is_not_watched_is_left_to_the_optimizer(
    new_world: NewWorld, tree: dict[str, object]
) -> None:
    world = new_world(tree={"mode": "prod"})
    _, after = await lowered_below_demand(world)
    world.tree = {"mode": "prod", **tree}

    await looks(world, BURST_IS_SPENT)

    assert world.loaded(TENANT) == after


async def test_the_optimizer_does_not_lower_it_again_at_once(new_world: NewWorld) -> None:
    world = new_world()
    before, _ = await lowered_below_demand(world)
    await looks(world, BURST_IS_SPENT)

    await world.run(optimize, after=INTERVAL)
    await looks(world, 2)

    assert world.loaded(TENANT) >= before
