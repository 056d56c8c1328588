"""Asking a PromQL server about Mimir's pods, and what of it we serve."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import polars as pl
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from policy.cluster_resources import ANSWER, questions
from policy.resources import RESOURCES
from policy.settings.promql import Promql
from tasks.http import MimirUnavailable
from tasks.promql_http import promql_client
from tasks.resources import ask_cluster, ask_prometheus
from tasks.telemetry import Telemetry

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WINDOW = timedelta(minutes=2)


async def test_a_question_without_an_answer_leaves_the_others() -> None:
    async def query(text: str) -> pl.DataFrame:
        if "working_set" in text:
            raise MimirUnavailable("it is down")
        return pl.DataFrame([("ingester-0", "ingester", 2.0)], schema=ANSWER, orient="row")

    view = await ask_cluster(query, namespace="mimir", window=WINDOW)

    memory = view.resources.filter(resource="memory_bytes").select("used", "limit").rows()
    assert memory == [(None, 2.0)]
    assert view.unknown == {("memory_bytes", "used"): "it is down"}


async def test_a_prometheus_is_asked_and_its_answers_are_read() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(parse_qs(request.content.decode())["query"][0])
        metric = {"pod": "ingester-0", "container": "ingester"}
        results = [{"metric": metric, "value": [1, "2.5"]}] if "working_set" in asked[-1] else []
        data = {"resultType": "vector", "result": results}
        return httpx.Response(200, json={"status": "success", "data": data})

    promql = Promql(url="http://prometheus:9090")
    async with promql_client(promql, transport=httpx.MockTransport(handler)) as client:
        view = await ask_prometheus(promql, namespace="mimir", client=client, clock=lambda: NOON)

    assert view.resources.rows() == [("ingester-0", "ingester", "memory_bytes", 2.5, None)]
    assert view.unknown == {}
    assert sorted(asked) == sorted(questions(namespace="mimir", window=promql.window).values())


@pytest.mark.parametrize("namespace", ["mimir-system", 'a"} or vector(1) #', "a\\b"])
def test_every_question_is_promql_whatever_the_namespace_is(
    namespace: str, tmp_path: Path, debian_tool: Callable[[str, str], str]
) -> None:
    """
    Prometheus' own parser decides; a quote in the name must not end the selector.
    """
    promtool = debian_tool("promtool", "prometheus")
    asked = questions(namespace=namespace, window=WINDOW)
    rules = "".join(
        f"      - record: a:b:c{number}\n        expr: |-\n          {text}\n"
        for number, text in enumerate(asked.values())
    )
    file = tmp_path / "rules.yaml"
    file.write_text(f"groups:\n  - name: all\n    rules:\n{rules}", encoding="utf-8")

    checked = subprocess.run(
        [promtool, "check", "rules", file], capture_output=True, check=False, timeout=30
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def shown(telemetry: Telemetry) -> list[str]:
    text = generate_latest(telemetry.registry).decode()
    return [line for line in text.splitlines() if line.startswith("mimir_limit_optimizer_mimir_")]


def seen(*rows: tuple[str, str | None, str, float | None, float | None]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=RESOURCES, orient="row")


def test_what_was_measured_is_served_and_nothing_else() -> None:
    telemetry = Telemetry(CollectorRegistry())

    telemetry.resources.show(
        seen(
            ("a", "ingester", "memory_bytes", 2.0, 8.0),
            ("b", None, "memory_bytes", 3.0, None),
            ("b", None, "cpu_cores", None, 4.0),
            ("a", "ingester", "ingester_max_series", 1.0, 2.0),
        )
    )

    assert sorted(
        line.removeprefix("mimir_limit_optimizer_mimir_") for line in shown(telemetry)
    ) == [
        'instance_limit_ratio{component="ingester",limit="ingester_max_series",pod="a"} 0.5',
        'memory_bytes{component="",pod="b"} 3.0',
        'memory_bytes{component="ingester",pod="a"} 2.0',
        'memory_ratio{component="ingester",pod="a"} 0.25',
        'restarts_total{component="",pod="b"} 0.0',
        'restarts_total{component="ingester",pod="a"} 0.0',
    ]


def test_restarts_add_up_and_a_process_that_is_gone_leaves() -> None:
    telemetry = Telemetry(CollectorRegistry())
    restarted = seen(("a", "all", "restarts", 1.0, None), ("b", "all", "restarts", 1.0, None))

    telemetry.resources.show(restarted)
    telemetry.resources.show(restarted.filter(pod="a"))

    assert [line for line in shown(telemetry) if "restarts" in line] == [
        'mimir_limit_optimizer_mimir_restarts_total{component="all",pod="a"} 2.0'
    ]


def test_a_process_that_stops_answering_keeps_its_labels() -> None:
    telemetry = Telemetry(CollectorRegistry())

    telemetry.resources.show(seen(("a", "all", "up", 1.0, None)))
    telemetry.resources.show(seen(("a", None, "up", 0.0, None)))

    assert 'mimir_limit_optimizer_mimir_up{component="all",pod="a"} 0.0' in shown(telemetry)
