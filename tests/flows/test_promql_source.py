"""The loop with PromQL as its source: a real Prometheus scrapes the simulated cluster, live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from flows.optimize import optimize
from flows.protect import protect
from policy.errors import RetriableError
from policy.settings.promql import Promql
from policy.signals import ACTIVE_SERIES, SERIES, SERIES_CREATED_RATE, SIZED
from simulator import endpoints
from storage.decisions import STORED_DECISIONS
from storage.revisions import newest_revision
from tasks.promql import collect_promql

PROCESSES = len(endpoints(1))
INTERVAL = timedelta(seconds=3)  # between two runs of protect
DECIDED = ("tenant", "limit", "outcome", "reason", "after")

Sourced = Callable[[str], dict[str, object]]


@pytest.fixture
def world(new_world: Callable[..., Any]) -> Any:  # noqa: ANN401 - the world of conftest
    return new_world(live=True, tree={"mode": "dry-run"})


@pytest.fixture
def sourced(
    world: Any,  # noqa: ANN401 - the world of conftest
    start_prometheus: Callable[..., AbstractContextManager[str]],
) -> Iterator[Sourced]:
    """Settings by mode that look through a Prometheus, which scrapes every process each second."""
    targets = {url.rpartition("/")[2]: url for url in endpoints(world.port)}
    with ExitStack() as stack:
        url = stack.enter_context(start_prometheus(targets))
        yield lambda mode: {
            "mode": mode,
            "metricsSource": "promql",
            "protectInterval": "5s",
            "promql": {"url": url, "delay": "0s"},
        }


async def scraped_since(promql: Promql, moment: datetime, *, world: Any) -> None:  # noqa: ANN401
    """Wait until Prometheus has two scrapes of every process, the newer ones after that."""
    async with asyncio.timeout(30):
        while True:
            with suppress(RetriableError):
                pair = await collect_promql(promql, clock=world.clock)
                newest = pair.current.readings["at"].min()
                if len(pair.previous.answered) == PROCESSES and newest > moment:  # type: ignore[operator]
                    return
            await asyncio.sleep(0.2)


async def looked_twice_and_decided(world: Any) -> tuple[pl.DataFrame, pl.DataFrame]:  # noqa: ANN401
    """Two runs of protect and one of optimize: the newest samples, and what was decided."""
    promql = world.settings().promql
    through_promql = world.settings().metrics_source == "promql"
    for _ in range(2):
        began = world.clock()
        if through_promql:
            await scraped_since(promql, began, world=world)
        await world.run(protect)
        await asyncio.sleep((began + INTERVAL - world.clock()).total_seconds())
    await world.run(optimize)
    cursor = world.database.cursor()
    samples = cursor.execute(
        "select tenant, signal, value, coverage from samples "
        'qualify row_number() over (partition by tenant, signal order by "at" desc) = 1'
    ).pl()
    decisions = cursor.execute("select * from decisions").pl().select(STORED_DECISIONS.names())
    # The other limits have no past, only what was rolled up of these seconds.
    sized = decisions.filter(pl.col("limit").is_in(SIZED))
    return samples, sized.select(DECIDED).sort("tenant", "limit")


async def test_both_sources_measure_the_same_signals_and_decide_the_same(
    world: Any,  # noqa: ANN401
    sourced: Sourced,
) -> None:
    """
    The same cluster and the same past: whichever source it is, the same limits follow.
    """
    past_until = world.clock()
    world.tree = {"mode": "dry-run", "protectInterval": "5s"}
    own_samples, own_decisions = await looked_twice_and_decided(world)
    world.restart(lose_history=True)
    world.remember_past(until=past_until)
    world.tree = sourced("dry-run")

    samples, decisions = await looked_twice_and_decided(world)

    assert decisions.rows() == own_decisions.rows()
    assert {"raise", "lower"} & set(decisions["outcome"])  # which of them, the time of day decides
    assert {*samples["signal"]} == {*own_samples["signal"]}
    creating, own_creating = (
        set(one.filter(signal=SERIES_CREATED_RATE)["tenant"]) for one in (samples, own_samples)
    )
    assert creating == own_creating == {*samples["tenant"]}
    assert samples.filter(pl.col("coverage") != 1).is_empty()
    # The clock is the machine's: between the two sources' looks a burst may have begun or ended.
    even = samples.filter(~pl.col("tenant").str.starts_with("bursty"))
    levels = even.filter(pl.col("signal").is_in([SERIES, ACTIVE_SERIES])).join(
        own_samples, on=["tenant", "signal"], suffix="_own"
    )
    apart = (pl.col("value") - pl.col("value_own")).abs() / pl.col("value_own")
    assert levels.height == 2 * even["tenant"].n_unique() > 0
    assert levels.filter(apart > 0.02).rows() == []


async def test_what_is_published_is_confirmed_through_prometheus(
    world: Any,  # noqa: ANN401
    sourced: Sourced,
) -> None:
    """
    The proof of a publication, that each process has the new file, comes through PromQL too.
    """
    world.tree = sourced("prod")
    promql = world.settings().promql
    await scraped_since(promql, world.clock(), world=world)
    await world.run(protect)
    await world.run(optimize)
    written = newest_revision(world.database)

    async with asyncio.timeout(30):
        while newest_revision(world.database).outcome == "intended":  # type: ignore[union-attr]
            await scraped_since(promql, world.clock(), world=world)
            await world.run(protect)

    assert written is not None
    assert written.outcome == "intended"
    assert world.revisions()[-1] == ("optimizer", "confirmed")
    assert world.limits()
    assert {key: world.loaded(*key) for key in world.limits()} == world.limits()
