"""Our limits are withdrawn: none is left, none comes back before somebody says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deployments.withdrawing import withdraw_here
from flows.optimize import optimize
from flows.protect import protect
from policy.document import parse
from policy.errors import ConfigError
from policy.pins import Pin
from storage.audit import read_audit
from storage.pauses import pause, resume, withdraw
from storage.pins import pin
from tests.flows.test_rollback import published

INTERVAL = 15.0
RATE = "ingestion_rate"

NewWorld = Callable[..., Any]
World = Any


def withdrawn(world: World) -> None:
    withdraw(world.database, by="anna", reason="it is uninstalled", at=world.clock())


async def rounds(world: World, *, number: int = 2) -> None:
    for _ in range(number):
        await world.run(optimize, after=INTERVAL)
        await world.run(protect, after=INTERVAL)


async def test_every_limit_of_ours_goes_and_none_comes_back(new_world: NewWorld) -> None:
    world = new_world()
    await published(world)
    tenant = next(tenant for tenant, limit in world.limits() if limit == RATE)
    word = Pin(
        tenant=tenant,
        limit=RATE,
        value=77_000.0,
        reason="a test",
        by="ben",
        since=world.clock(),
        until=None,
    )
    pin(world.database, word)
    for _ in range(2):
        await world.run(protect, after=INTERVAL)
    ours = world.loaded(tenant)

    withdrawn(world)
    said = await world.decided(protect, after=INTERVAL)
    await world.run(protect, after=INTERVAL)
    written = len(world.revisions())
    world.restart()
    await rounds(world)

    assert (ours, world.loaded(tenant)) == (77_000, 10_000)
    assert world.limits() == {}
    assert "limits changed" in said[0]
    assert world.revisions()[-1] == ("optimizer", "confirmed")
    assert len(world.revisions()) == written, "an empty document is written once"
    assert not world.layer("optimized").is_empty(), "what is decided waits"


async def test_it_is_audited_with_each_limit_that_goes(new_world: NewWorld) -> None:
    world = new_world()
    await published(world)
    before = world.limits()

    withdrawn(world)
    await world.run(protect, after=INTERVAL)

    found = read_audit(world.database, since=world.clock() - timedelta(seconds=INTERVAL + 1))
    (order,) = found.filter(action="withdraw").iter_rows(named=True)
    gone = found.filter(action="limit_changed")
    assert (order["actor"], order["category"]) == ("anna", "user")
    assert gone.height == len(before)
    assert all("anna withdrew every limit of ours" in details for details in gone["details"])


async def test_resumed_everything_is_published_again(new_world: NewWorld) -> None:
    world = new_world()
    await published(world)
    before = world.limits()
    withdrawn(world)
    await world.run(protect, after=INTERVAL)
    await world.run(protect, after=INTERVAL)

    resume(world.database, by="anna", reason=None, at=world.clock())
    await world.run(protect, after=INTERVAL)

    assert world.limits() == before


async def test_a_pause_before_does_not_keep_them_and_one_after_brings_none_back(
    new_world: NewWorld,
) -> None:
    world = new_world()
    await published(world)
    pause(world.database, by="ben", reason="upgrade", at=world.clock(), until=None)
    await world.run(protect, after=INTERVAL)
    paused = world.limits()

    withdrawn(world)
    await world.run(protect, after=INTERVAL)
    gone = world.limits()
    until = world.clock() + timedelta(minutes=5)
    pause(world.database, by="ben", reason="upgrade", at=world.clock(), until=until)
    await world.run(protect, after=600.0)

    assert paused != {}
    assert gone == world.limits() == {}


async def test_without_a_running_process_the_order_is_carried_out_and_proven(
    new_world: NewWorld,
) -> None:
    world = new_world(live=True)
    await published(world)
    before = world.limits()
    world.end()

    said = await asyncio.to_thread(
        withdraw_here, world.settings(), order=ordered(world), wait_seconds=60.0
    )

    world.begin()
    assert before != {}
    assert world.limits() == {}
    assert said[0].endswith(f"without any limit of ours: {len(before)} are gone")
    assert "9 pods loaded" in said[1]
    assert world.revisions()[-1] == ("optimizer", "confirmed")


async def test_where_mimir_does_not_answer_they_go_and_the_proof_is_missed(
    new_world: NewWorld,
) -> None:
    world = new_world(live=True)
    await published(world)
    world.end()
    nobody = world.settings().model_copy(
        update={"mimir": world.settings().mimir.model_copy(update={"endpoints": [NOBODY]})}
    )

    with pytest.raises(ConfigError, match="was not heard to have loaded it"):
        await asyncio.to_thread(withdraw_here, nobody, order=ordered(world), wait_seconds=3.0)

    world.begin()
    assert world.limits() == {}


NOBODY = "http://127.0.0.1:9"


def ordered(world: World) -> Callable[..., None]:
    return partial(withdraw, by="anna", reason="it is uninstalled", at=world.clock())


async def test_what_is_not_ours_is_left_alone(new_world: NewWorld, tmp_path: Path) -> None:
    world = new_world()
    await published(world)
    theirs = tmp_path / "theirs.yaml"
    theirs.write_text("overrides: {}\nmulti_kv_config: {primary: consul}\n")
    world.tree["publish"] = {"file": {"path": str(theirs)}}
    withdrawn(world)

    with pytest.raises(ConfigError, match="we did not write"):
        await world.run(protect, after=INTERVAL)

    assert "consul" in theirs.read_text()
    assert not parse(world.file.read_bytes()).is_empty(), "where we publish no more stays as it is"
