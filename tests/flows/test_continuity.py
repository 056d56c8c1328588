"""Nothing that happens to our process, its history, mode or place makes a limit change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from flows.optimize import optimize
from flows.protect import protect
from simulator import Fault
from storage.limits import observed_limits
from storage.runs import latest_runs
from tasks.sinks import FileSink

INTERVAL = 15.0  # seconds between two runs of protect
RATE = "ingestion_rate"

NewWorld = Callable[..., Any]


async def published(world: Any) -> None:  # noqa: ANN401 - the world of conftest
    """Let the history decide, write, and see it loaded by every process."""
    await world.run(protect)
    await world.run(optimize, after=INTERVAL)
    await world.run(protect, after=INTERVAL)


@pytest.mark.parametrize("first", [protect, optimize], ids=["protect first", "optimize first"])
async def test_losing_the_history_loses_no_limit(
    new_world: NewWorld,
    first: Any,  # noqa: ANN401 - a flow
) -> None:
    """What is published becomes ours again, and is not taken for the operator's own."""
    world = new_world()
    await published(world)
    document = world.file.read_bytes()
    world.restart(lose_history=True)

    await world.run(first, after=INTERVAL)
    await world.run(optimize, after=INTERVAL)
    await world.run(protect, after=INTERVAL)

    assert world.file.read_bytes() == document
    assert world.revisions() == [("found", "confirmed")]
    said = world.layer("optimized").select("tenant", "limit", "value").rows()
    assert {(tenant, limit): value for tenant, limit, value in said} == world.limits()
    ours = list(world.limits())
    theirs = observed_limits(world.database).select("tenant", "limit").rows()
    assert not set(ours) & set(theirs)


async def test_what_stands_is_known_before_anything_is_decided_on_it(new_world: NewWorld) -> None:
    """
    Taken for the operator's own, our limits would be lowered a step more without a cool-down.
    """
    world = new_world()
    await published(world)
    document = world.file.read_bytes()
    world.restart(lose_history=True)
    world.remember_past()
    await world.run(protect, after=INTERVAL)
    world.database.cursor().execute("delete from revisions; delete from layers")
    world.restart()

    await world.run(optimize, after=INTERVAL)

    assert world.file.read_bytes() == document


async def test_a_history_lost_before_a_dry_run_loses_no_limit_either(new_world: NewWorld) -> None:
    """A dry run cannot look at the sink, and takes our word for the operator's for a while."""
    world = new_world()
    await published(world)
    limits = world.limits()
    world.restart(lose_history=True)
    world.tree["mode"] = "dry-run"
    await world.run(optimize, after=INTERVAL)

    world.tree["mode"] = "prod"
    await world.run(protect, after=INTERVAL)
    await world.run(optimize, after=INTERVAL)

    assert world.limits() == limits
    theirs = observed_limits(world.database).select("tenant", "limit").rows()
    assert not set(limits) & set(theirs)


async def test_a_restart_changes_nothing(new_world: NewWorld) -> None:
    world = new_world()
    await published(world)
    document, theirs = world.file.read_bytes(), observed_limits(world.database)
    world.restart()

    await world.run(optimize, after=INTERVAL)
    await world.run(protect, after=INTERVAL)

    assert world.file.read_bytes() == document
    assert observed_limits(world.database).equals(theirs)
    assert len(world.revisions()) == 2


async def test_our_unproven_word_is_never_taken_for_the_operators(new_world: NewWorld) -> None:
    """A process that never answers keeps every revision from being confirmed."""
    world = new_world()
    await world.run(protect)
    world.cluster.inject(Fault(process="overrides-exporter", kind="unreachable"))
    await world.run(optimize, after=INTERVAL)
    given_up = await world.decided(protect, after=120)
    world.restart()

    await world.run(optimize, after=INTERVAL)

    assert given_up[0].startswith("revision 2 inconclusive, it stays in place: not heard of: ")
    assert ("bursty-1", RATE) in world.limits()
    theirs = observed_limits(world.database).select("tenant", "limit").rows()
    assert ("bursty-1", RATE) not in theirs


async def test_a_dry_run_in_between_loses_and_changes_no_limit(new_world: NewWorld) -> None:
    """
    What was published is where the dry run starts from, and where production goes on.
    """
    world = new_world()
    await published(world)
    document, layer = world.file.read_bytes(), world.layer("optimized")

    world.tree["mode"] = "dry-run"
    would = await world.run(optimize, after=INTERVAL)
    newest = latest_runs(world.database).filter(flow="optimize").row(0, named=True)
    await world.run(optimize, after=300)
    world.tree["mode"] = "prod"
    await world.run(protect, after=INTERVAL)
    await world.run(optimize, after=INTERVAL)

    assert would == [would[-1]], "nothing new is said"
    assert '"publish": "nothing"' in newest["summary"]
    assert world.file.read_bytes() == document
    assert world.layer("optimized").equals(layer)


async def test_a_tenant_that_leaves_the_scope_gets_its_own_limits_back(
    new_world: NewWorld,
) -> None:
    world = new_world()
    await published(world)
    others = {key: value for key, value in world.limits().items() if key[0] != "bursty-1"}

    world.tree["tenantScoping"] = {"skipList": ["bursty-*"]}
    await world.run(optimize, after=INTERVAL)
    await world.run(protect, after=INTERVAL)

    assert world.limits() == others
    assert world.loaded("bursty-1") == 10_000


async def test_a_new_place_to_publish_to_is_taken_over_with_what_it_says(
    new_world: NewWorld,
) -> None:
    world = new_world()
    await published(world)
    moved = world.file.with_name("moved.yaml")
    moved.write_text("overrides: {stranger: {ingestion_rate: 12345}}\n")

    world.tree["publish"] = {"file": {"path": str(moved)}}
    await world.run(protect, after=INTERVAL)

    assert world.revisions()[2:] == [("found", "confirmed"), ("optimizer", "intended")]
    stranger = world.layer("optimized").filter(pl.col("tenant") == "stranger")
    assert stranger["value"].to_list() == [12_345.0]


async def test_a_process_killed_before_it_wrote_is_made_good_by_the_next(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The intent is recorded, the document is not there."""

    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> str:
        raise Killed

    world = new_world()
    await world.run(protect)
    with monkeypatch.context() as patched:
        patched.setattr(FileSink, "write", die)
        with pytest.raises(Killed):
            await world.run(optimize, after=INTERVAL)
    world.restart()

    await world.run(protect, after=INTERVAL)
    await world.run(protect, after=INTERVAL)

    assert world.limits()["bursty-1", RATE] == world.loaded("bursty-1") > 10_000
    assert [outcome for _, outcome in world.revisions()] == [
        "confirmed",
        "inconclusive",
        "confirmed",
    ]
