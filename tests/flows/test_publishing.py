"""Planned anew and anew from the same layers, nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flows.optimize import optimize
from flows.protect import protect
from flows.publishing import publish_layers
from flows.runtime import Run

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
