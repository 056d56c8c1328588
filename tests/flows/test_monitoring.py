"""Dashboards and alert rules: every query is run by a real Prometheus that scrapes a simulation."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import combinations
from pathlib import Path
from threading import Semaphore
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from tests.flows.test_metrics import PREFIX, NewWorld, documented, emitted
from tests.tasks.receiver import Got, Says, receiving

ROOT = Path(__file__).parents[2]
DASHBOARDS = sorted((ROOT / "monitoring" / "dashboards").glob("*.json"))
RULES = ROOT / "monitoring" / "rules" / "mimir-limit-optimizer.yaml"
VARIABLES = {"$__rate_interval": "30s", "$tenant": ".*", "$limit": ".*"}
SCRAPED = 2  # times at least, so that there are rates

# What a calm hour and one blast do not bring about; see tests/flows/test_metrics.py.
EMPTY = {
    ("fleet", "Taken back and drifted"),
    ("cost", "Budgets used up in 7 days"),
    ("protection", "Steps back to normal"),
    ("self", "Audit"),
}

Started = Callable[..., AbstractContextManager[str]]


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            yield path.stem, panel


def rules() -> list[dict[str, Any]]:
    groups = YAML(typ="safe").load(RULES)["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> Iterator[tuple[str, str, str]]:
    """Dashboard, panel and PromQL, with each variable replaced."""
    for name, panel in panels():
        for target in panel["targets"]:
            query = target["expr"]
            for variable, value in VARIABLES.items():
                query = query.replace(variable, value)
            yield name, panel["title"], query


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_has_no_two_panels_in_one_place_and_says_what_each_shows(path: Path) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))

    assert board["uid"] == f"mlo-{path.stem}"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert {variable["name"] for variable in board["templating"]["list"]} >= {"datasource"}
    for one, other in combinations([panel["gridPos"] for panel in board["panels"]], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above
    for panel in board["panels"]:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert panel["fieldConfig"]["defaults"]["unit"]


def test_dashboards_and_rules_ask_for_metrics_that_there_are() -> None:
    said = "\n".join([*(query for *_, query in queries()), *(rule["expr"] for rule in rules())])
    named = {name.removeprefix(PREFIX) for name in re.findall(rf"{PREFIX}\w+", said)}
    histograms = {name for name, (kind, _) in documented().items() if kind == "histogram"}

    assert named - set(documented()) == {
        name for name in named if name.removesuffix("_bucket") in histograms
    }


def test_every_rule_has_a_runbook() -> None:
    page = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
    sections = {line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")}

    assert {rule["alert"] for rule in rules()} == sections
    for rule in rules():
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks.md#{rule['alert'].lower()}"


def test_rules_fire_when_they_should_and_not_before(debian_tool: Callable[[str, str], str]) -> None:
    promtool = debian_tool("promtool", "prometheus")

    found = subprocess.run(
        [promtool, "test", "rules", str(RULES.with_name("test.yaml"))],
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.returncode == 0, found.stdout + found.stderr


async def test_every_panel_of_the_dashboards_has_data_in_a_simulation(
    new_world: NewWorld, start_prometheus: Started
) -> None:
    page, scraped = await emitted(new_world), Semaphore(0)

    def answer(_: Got) -> Says:
        scraped.release()
        return Says(body=page)

    with receiving(answer) as served, start_prometheus({"mlo": served.url}) as url:
        for _ in range(SCRAPED + 1):  # what was scraped before the newest one is stored
            assert await asyncio.to_thread(scraped.acquire, timeout=40), "nobody scrapes"
        async with httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=20) as client:

            async def ask(query: str) -> list[Any]:
                told = await client.get("/query", params={"query": query})
                assert told.status_code == httpx.codes.OK, (query, told.text)
                found: list[Any] = told.json()["data"]["result"]
                return found

            answers = [(name, title, await ask(query)) for name, title, query in queries()]

    silent = {(name, title) for name, title, found in answers if not found}
    assert silent == EMPTY
    assert len(answers) > 50
