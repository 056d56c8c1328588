"""Whatever a process answers about metrics, a look goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest

from policy.settings import Settings
from policy.top_metrics import METRICS_TOLD
from tasks.top_metrics import LONGEST_NAME, TRIED, Answers, ask_metrics

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
Serve = Callable[[httpx.Request], httpx.Response]


def told(*metrics: tuple[str, float], total: object = 900) -> httpx.Response:
    values = [{"label_value": name, "series_count": series} for name, series in metrics]
    label = {"label_name": "__name__", "cardinality": values}
    return httpx.Response(200, json={"series_count_total": total, "labels": [label]})


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    async def asked(serve: Serve, *, tenants: list[str], urls: list[str]) -> Answers:
        transport = httpx.MockTransport(serve)
        monkeypatch.setattr(
            "tasks.top_metrics.client_of", lambda _: httpx.AsyncClient(transport=transport)
        )
        return await ask_metrics(tenants, urls=urls, settings=Settings(), at=NOON)

    return asked


async def test_each_tenant_is_asked_about_by_itself_and_for_a_few_metrics(ask: Callable) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        assert request.url.params["limit"] == str(METRICS_TOLD)
        if request.headers["X-Scope-OrgID"] == "off":
            return httpx.Response(400, text="cardinality analysis is disabled for the tenant: off")
        return told(("up", 100), ("wild", 800))

    answers = await ask(serve, tenants=["acme", "off"], urls=["http://q"])

    assert answers.metrics.rows() == [
        (NOON, "acme", "wild", 800, 900),
        (NOON, "acme", "up", 100, 900),
    ]
    assert list(answers.refused) == ["off"]
    assert "cardinality analysis is off" in answers.refused["off"]
    assert answers.url == "http://q"


async def test_processes_are_asked_in_turn_but_not_all_of_a_large_cluster(ask: Callable) -> None:
    asked: list[str] = []

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(503)

    answers = await ask(serve, tenants=["acme"], urls=[f"http://p{n}" for n in range(50)])

    assert asked == [f"p{n}" for n in range(TRIED)]
    assert "answered 503" in answers.refused["acme"]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, text='{"series_count_total": NaN}'),
        httpx.Response(200, text='{"series_count_total": 1e999}'),
        httpx.Response(302, headers={"Location": "http://login"}),
        httpx.Response(401),
    ],
)
async def test_an_answer_that_says_nothing_is_a_refusal(
    ask: Callable, answer: httpx.Response
) -> None:
    answers = await ask(lambda _: answer, tenants=["acme"], urls=["http://q"])

    assert answers.metrics.is_empty()
    assert answers.refused["acme"]
    assert answers.url is None


async def test_cortex_which_tells_no_metrics_is_a_refusal(ask: Callable) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("user_stats"):
            return httpx.Response(200, json={"numSeries": 20})
        return httpx.Response(404)

    answers = await ask(serve, tenants=["acme"], urls=["http://q"])

    assert "tells only how many series" in answers.refused["acme"]


async def test_without_a_process_that_could_tell_that_is_said(ask: Callable) -> None:
    answers = await ask(lambda _: told(), tenants=["acme"], urls=[])

    assert answers.refused == {"acme": "no process of Mimir is known that could tell"}


async def test_a_name_neither_ends_a_line_nor_fills_a_page(ask: Callable) -> None:
    answers = await ask(
        lambda _: told(("a\n\x1b[31mb" + "c" * 9_999, 5)), tenants=["acme"], urls=["http://q"]
    )

    (name,) = answers.metrics["metric"]
    assert name.startswith("a??[31mb")
    assert len(name) == LONGEST_NAME
