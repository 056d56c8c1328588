"""The metrics of a tenant that blasts are named after its caps were published, and cost nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from flows.protect import protect
from simulator.cardinality import EXPLODING
from storage.audit import newest_entries
from storage.breaker_metrics import read_metrics
from storage.breakers import read_breakers

INTERVAL = 15.0
TENANT = "steady-1"
NewWorld = Callable[..., Any]
# An explosion of twenty times creates more than this, and nobody else does.
TOLD_AT_ONCE = {"circuitBreaker": {"blastProtection": {"seriesSpikeThreshold": 500}}}


async def exploding(world: Any, *, looks: int = 2) -> list[str]:  # noqa: ANN401 - of conftest
    """What is said in the looks after an explosion of series began."""
    await world.run(protect)
    await world.run(protect, after=INTERVAL)
    world.cluster.blast(TENANT, factor=20, seconds=300, kind="series")
    said = []
    for _ in range(looks):
        said += await world.run(protect, after=INTERVAL)
    return said


def entries(world: Any) -> list[tuple[str, dict[str, Any]]]:  # noqa: ANN401 - of conftest
    found = newest_entries(world.database, newest=1_000).filter(action="breaker_metrics_named")
    return [(row["tenant"], json.loads(row["details"])) for row in found.iter_rows(named=True)]


async def test_the_metric_that_explodes_is_told_with_its_series_and_kept_with_the_turn(
    new_world: NewWorld,
) -> None:
    world = new_world(tree={"mode": "prod", **TOLD_AT_ONCE})

    said = await exploding(world)

    opened = next(place for place, line in enumerate(said) if "the circuit breaker opens" in line)
    named = [place for place, line in enumerate(said) if f"most series: {EXPLODING}" in line]
    written = next(place for place, line in enumerate(said) if "written" in line)
    assert opened < written < named[0], "the caps are published first"
    ((turn, evidence),) = (
        world.database.cursor()
        .execute("select after, evidence from v_breaker_turns where tenant = ?", [TENANT])
        .fetchall()
    )
    told = json.loads(evidence)
    assert turn == "open"
    assert next(iter(told["metrics"])) == EXPLODING
    assert sum(told["metrics"].values()) <= told["series"]
    assert told["value"] > 500, "what was seen before stays"
    tenant, details = entries(world)[-1]
    assert tenant == TENANT
    assert details["metrics"] == told["metrics"]


async def test_it_is_asked_at_the_turn_and_once_more_to_tell_what_grew(
    new_world: NewWorld,
) -> None:
    world = new_world(tree={"mode": "dry-run", **TOLD_AT_ONCE})

    await exploding(world, looks=4)

    answers = read_metrics(world.database)
    assert answers["at"].n_unique() == 2
    assert answers["tenant"].unique().to_list() == [TENANT]


async def test_a_refusal_is_told_once_and_is_no_failure(new_world: NewWorld) -> None:
    world = new_world(tree={"mode": "prod", **TOLD_AT_ONCE})
    base = world.folder / "runtime.yaml"
    tree = json.loads(base.read_text())
    tree["overrides"][TENANT] = {"cardinality_analysis_enabled": False}
    base.write_text(json.dumps(tree))
    world.now += 30
    world.cluster.advance()

    said = await exploding(world, looks=4)

    (line,) = [line for line in said if "metrics are not known" in line]
    assert f"cardinality analysis is off for {TENANT}" in line
    assert read_metrics(world.database).is_empty()
    assert read_breakers(world.database)["tenant"].to_list() == [TENANT]
    assert world.layer("breaker")["tenant"].unique().to_list() == [TENANT]


async def test_a_mimir_that_does_not_answer_in_time_holds_nothing_up(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.top_metrics.PATIENCE_SECONDS", 0.0)
    world = new_world(tree={"mode": "prod", **TOLD_AT_ONCE})

    said = await exploding(world)

    assert any("no answer within" in line for line in said)
    assert world.layer("breaker")["tenant"].unique().to_list() == [TENANT]


async def test_nobody_is_asked_while_nobody_blasts(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr("flows.top_metrics.ask_metrics", never)
    world = new_world()

    await world.run(protect)
    await world.run(protect, after=INTERVAL)

    assert read_metrics(world.database).is_empty()
