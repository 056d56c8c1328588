"""Planned anew and anew from the same layers, nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from flows.optimize import optimize
from flows.protect import protect
from flows.publishing import publish_layers
from flows.runtime import Run
from policy.document import parse, render
from policy.errors import ConfigError
from policy.pins import Pin
from simulator import Fault
from storage.audit import read_audit
from storage.pauses import pause
from storage.pins import pin
from storage.revisions import get_revision
from tasks.sinks import FileSink
from tasks.writer import LockedFile

INTERVAL = 15.0
CYCLES = 1_000

NewWorld = Callable[..., Any]


@pytest.mark.timeout(180)
async def test_a_thousand_plans_without_a_change_write_nothing(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file, the revisions and the sink are left alone, however often it is planned anew."""
    world = new_world()
    for flow in (protect, optimize, protect):
        await world.run(flow, after=INTERVAL)
    bytes_then, revisions = world.file.read_bytes(), world.revisions()
    settings = world.settings()
    written: list[object] = []
    monkeypatch.setattr(
        "tasks.sinks.file.FileSink.write", lambda *given, **_: written.append(given)
    )

    run = Run(run_id="r", flow="protect", started_at=world.clock())
    outcomes = set()
    for _ in range(CYCLES):
        world.runtime.memory.planned = None
        outcomes.add((await publish_layers(world.runtime, run, settings)).outcome)

    assert outcomes == {"nothing"}
    assert written == []
    assert world.file.read_bytes() == bytes_then
    assert world.revisions() == revisions


def paused_at(world: Any) -> dict[str, object]:  # noqa: ANN401 - the world of conftest
    return {"mode": "prod", "publish": {"paused": True, "file": {"path": str(world.file)}}}


async def test_while_paused_nothing_is_written_and_afterwards_it_is(new_world: NewWorld) -> None:
    world = new_world()
    world.tree = paused_at(world)
    before = world.file.read_bytes()

    said = [line for flow in (protect, optimize, protect) for line in await world.run(flow)]
    paused = world.file.read_bytes()
    world.tree = {"mode": "prod"}
    later = await world.run(protect, after=INTERVAL)

    reason = "not published: publish.paused is true: changes wait until it is false"
    assert said.count(reason) == 1, "it is said once"
    assert paused == before
    assert later[-1].startswith("revision 2 written")


async def test_what_mimir_refused_is_put_back_while_paused(new_world: NewWorld) -> None:
    """A process that restarts would not start with it."""
    world = new_world()
    await world.run(protect)
    before = world.file.read_bytes()
    world.cluster.inject(Fault(process="ingester-1", kind="refuse_reload"))
    await world.run(optimize, after=INTERVAL)
    world.tree = paused_at(world)

    said = await world.decided(protect, after=INTERVAL)

    assert said[0].endswith("revision 1 was put back")
    assert world.file.read_bytes() == before


async def test_a_dry_run_tells_beforehand_what_the_real_run_then_does(new_world: NewWorld) -> None:
    """The same limits, from and to the same values, for the same reasons; and it says so once."""
    world = new_world(tree={"mode": "dry-run"})
    said = [
        line for flow in (protect, optimize, protect, protect) for line in await world.run(flow)
    ]
    _, preview = world.runtime.memory.planned

    world.tree = {"mode": "prod"}
    await world.run(protect, after=INTERVAL)
    await world.run(optimize)

    written = get_revision(world.database, 2)
    assert preview.outcome == "would"
    assert json.loads(written.changes) == json.loads(preview.changes.write_json())
    told = [line for line in said if line.startswith("dry run: ")]
    count = preview.changes.height
    assert told == [f"dry run: would update limits, {count} of them; `mlo diff` lists them"]


@pytest.mark.parametrize("mode", ["dry-run", "prod"])
async def test_a_dry_run_says_what_would_stop_the_real_run(new_world: NewWorld, mode: str) -> None:
    world = new_world(tree={"mode": mode})
    pause(world.database, by="anna", reason="upgrade", at=world.clock(), until=None)

    said = [line for flow in (protect, optimize) for line in await world.run(flow)]

    assert "not published: anna paused it: upgrade; `mlo resume` ends it" in said
    assert world.file.read_bytes() == b"overrides: {}\n"


def pinned(world: Any, key: tuple[str, str], value: float) -> None:  # noqa: ANN401
    word = Pin(
        tenant=key[0],
        limit=key[1],
        value=value,
        reason="x",
        by="anna",
        since=world.clock(),
        until=None,
    )
    pin(world.database, word)


def entered(world: Any) -> set[tuple[str, str, float]]:  # noqa: ANN401 - the world of conftest
    since = world.clock() - timedelta(hours=1)
    found = read_audit(world.database, since=since).filter(action="limit_changed")
    details = [
        (tenant, json.loads(told)) for tenant, told in found.select("tenant", "details").rows()
    ]
    return {(tenant, told["limit"], told["after"]) for tenant, told in details}


async def test_what_a_process_wrote_and_died_over_is_entered_by_the_next(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = new_world()
    for flow in (protect, optimize, protect):
        await world.run(flow, after=INTERVAL)
    one, other = [key for key in world.limits() if key[1] == "ingestion_rate"][:2]

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    pinned(world, one, 70_000.0)
    with monkeypatch.context() as patched:
        patched.setattr("tasks.publish.limits_changed", die)
        with pytest.raises(KeyboardInterrupt):
            await world.run(protect, after=INTERVAL)
    world.restart()
    pinned(world, other, 80_000.0)
    await world.run(protect, after=3.0)

    assert {(*one, 70_000.0), (*other, 80_000.0)} <= entered(world)


async def test_of_a_write_that_arrived_in_part_that_part_is_entered(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of Cortex, which takes one tenant and refuses another."""
    world = new_world()
    for flow in (protect, optimize, protect):
        await world.run(flow, after=INTERVAL)
    ours = world.limits()
    one, other = [key for key in ours if key[1] == "ingestion_rate"][:2]
    pinned(world, one, 70_000.0)
    pinned(world, other, 80_000.0)
    whole = FileSink.write

    def partly(self: FileSink, document: bytes, *, if_version: str) -> str:
        rows = parse(document).with_columns(
            value=pl.when(pl.col("value") == 80_000.0).then(ours[other]).otherwise("value")
        )
        whole(self, render(rows), if_version=if_version)
        raise ConfigError("not written: 1 of the tenants that change")

    with monkeypatch.context() as patched:
        patched.setattr("tasks.sinks.file.FileSink.write", partly)
        with pytest.raises(ConfigError):
            await world.run(protect, after=INTERVAL)
    then = entered(world)
    said = await world.run(protect, after=INTERVAL)

    assert (*one, 70_000.0) in then
    assert (*other, 80_000.0) not in then
    assert (*other, 80_000.0) in entered(world)
    assert not any("somebody else" in line for line in said)


async def test_a_dry_run_lets_another_process_write(new_world: NewWorld) -> None:
    world = new_world()
    await world.run(protect)
    world.tree = {"mode": "dry-run"}

    await world.run(protect, after=INTERVAL)

    assert LockedFile(world.file.with_name(".overrides.yaml.writer")).hold() == 0
