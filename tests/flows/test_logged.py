"""What the log says: lines that a person reads, and the same as JSON for a program."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployments.console import JsonLine, TextLine
from flows.cost import cost
from flows.optimize import optimize
from flows.protect import protect
from storage.breakers import switch
from tasks.say import DECISIONS
from tests.flows.conftest import INTERVAL, TENANTS, World, hearing

NewWorld = Callable[..., World]
PAGE = (Path(__file__).parents[2] / "docs" / "logs.md").read_text()
# | `the expression` | when | an example |
ASKED_FOR = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", PAGE, re.MULTILINE)


@contextmanager
def written(formatter: logging.Formatter) -> Iterator[list[str]]:
    """The lines of decisions as the process writes them."""
    lines: list[str] = []

    class Pen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(formatter.format(record))

    logger, pen = logging.getLogger(DECISIONS), Pen()
    logger.addHandler(pen)
    try:
        yield lines
    finally:
        logger.removeHandler(pen)


def matching(expression: str, lines: list[str]) -> list[str]:
    return [line for line in lines if re.search(expression, line)]


async def a_day(world: World) -> None:
    """A dry run that becomes production, prices, blasts and calms down."""
    for flow in (protect, optimize, cost):
        await world.run(flow, after=INTERVAL)
    world.tree["mode"] = "prod"
    for flow in (protect, optimize, protect, protect):
        await world.run(flow, after=INTERVAL)
    world.cluster.blast("steady-1", factor=20, seconds=120)
    for _ in range(40):
        await world.run(protect, after=INTERVAL)
    switch(world.database, tenant="", on=False, by="anna", reason="x", at=world.clock())
    await world.run(protect, after=INTERVAL)


FOUND_BY_FLOWS = (
    "circuit breaker.*disabled",
    "tenant metrics collected",
    "would update",
    "would update limits",
    "recalculated thresholds",
    "adapted thresholds",
    "circuit breaker",
    "circuit.*half-open",
    "blast.*detected",
    "recommendation",
    "calculated_limits",
    "cost_analysis",
)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The lines of one day in each format."""
    tree = {"mode": "dry-run", "trendAnalysis": {"minHistory": "1h"}}
    world = World(folder=tmp_path_factory.mktemp("day"), tree=tree)
    with hearing([]), written(TextLine()) as text, written(JsonLine()) as lines, world.alive():
        asyncio.run(a_day(world))
    return {"text": text, "json": lines}


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_the_documentation_greps_for_is_said_when_it_happens(
    day: dict[str, list[str]], log_format: str
) -> None:
    lines = day[log_format]

    assert {name for name in FOUND_BY_FLOWS if not matching(name, lines)} == set()


def test_a_line_of_json_says_who_did_what_to_whom(day: dict[str, list[str]]) -> None:
    events = [json.loads(line) for line in day["json"]]
    assert all({"timestamp", "level", "component", "action"} <= event.keys() for event in events)
    assert all(event["timestamp"].endswith("Z") for event in events)
    opened = next(event for event in events if event["action"] == "circuit breaker open")
    assert opened["tenant"] == "steady-1"
    assert opened["component"] == "breaker"
    assert "ingestion" in opened["details"]["kinds"]
    raised = [event for event in events if event["action"] == "raise"]
    assert raised
    assert all(event["details"]["after"] > event["details"]["before"] for event in raised)


async def test_what_stays_as_it_is_is_said_once(new_world: NewWorld) -> None:
    world = new_world(tree={"mode": "dry-run"})
    await world.run(optimize, after=INTERVAL)
    said = [line for _ in range(4) for line in await world.run(protect, after=INTERVAL)]

    assert len(matching("tenant metrics collected", said)) == 1
    assert len(matching("circuit breaker disabled", said)) == 1
    assert len(matching("recalculated thresholds", said)) == 1


async def test_thresholds_are_said_of_those_whose_limit_changed(new_world: NewWorld) -> None:
    world = new_world(tree={"mode": "dry-run"})
    await world.run(optimize, after=INTERVAL)
    first = await world.run(protect, after=INTERVAL)
    own = world.folder / "runtime.yaml"
    before = json.loads(own.read_text())["overrides"]
    tenant = next(name for name, limits in before.items() if "ingestion_rate" in limits)
    before[tenant]["ingestion_rate"] *= 2
    own.write_text(json.dumps({"overrides": before}))
    world.now += 60.0
    await world.run(optimize, after=INTERVAL)

    said = await world.run(protect, after=INTERVAL)

    assert [f"of {TENANTS} tenants" in line for line in matching("recalculated", first)] == [True]
    assert ["of 1 tenant " in line for line in matching("recalculated", said)] == [True]


def test_every_expression_of_the_page_is_one_that_a_test_looks_for() -> None:
    told_elsewhere = {"slack.*error", "pagerduty.*config", "alerting.*error"}
    of_channels = {"channel.*initialized"}
    of_sinks = {"configmap"}

    named = {expression for expression, _ in ASKED_FOR}

    assert named == {*FOUND_BY_FLOWS, *told_elsewhere, *of_channels, *of_sinks}
