"""Planned anew and anew from the same layers, nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from flows.optimize import optimize
from flows.protect import protect
from flows.publishing import publish_layers
from flows.runtime import Run
from simulator import Fault
from storage.pauses import pause
from storage.revisions import get_revision

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

    said = await world.run(protect, after=INTERVAL)

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
    assert told == [f"dry run: {preview.changes.height} limits would change; `mlo diff` lists them"]


@pytest.mark.parametrize("mode", ["dry-run", "prod"])
async def test_a_dry_run_says_what_would_stop_the_real_run(new_world: NewWorld, mode: str) -> None:
    world = new_world(tree={"mode": mode})
    pause(world.database, by="anna", reason="upgrade", at=world.clock(), until=None)

    said = [line for flow in (protect, optimize) for line in await world.run(flow)]

    assert "not published: anna paused it: upgrade; `mlo resume` ends it" in said
    assert world.file.read_bytes() == b"overrides: {}\n"
