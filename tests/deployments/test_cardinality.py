"""The fullest metrics of a tenant, as Mimir's cardinality API tells them."""

from __future__ import annotations

import httpx
import polars as pl
import pytest

from deployments.cardinality import against, ask
from policy.errors import ConfigError
from policy.settings import Settings, parse_settings
from tasks.cardinality import METRICS, cardinality
from tasks.http import MimirUnavailable, mimir_client

BASE = "http://mimir"
ANSWER = {
    "series_count_total": 900,
    "labels": [
        {
            "label_name": "__name__",
            "label_values_count": 3,
            "series_count": 900,
            "cardinality": [
                {"label_value": "small", "series_count": 100},
                {"label_value": "big", "series_count": 800},
            ],
        }
    ],
}


def serving(
    *answers: tuple[str, httpx.Response], seen: list[httpx.Request] | None = None
) -> httpx.AsyncClient:
    known = dict(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        return known.get(request.url.path, httpx.Response(404))

    return mimir_client(timeout_seconds=1, headers={}, transport=httpx.MockTransport(answer))


VALUES, STATS = "/prometheus/api/v1/cardinality/label_values", "/api/v1/user_stats"
OFF = "cardinality analysis is disabled for the tenant: acme\n"


async def test_the_fullest_metric_comes_first() -> None:
    seen: list[httpx.Request] = []
    async with serving((VALUES, httpx.Response(200, json=ANSWER)), seen=seen) as client:
        found = await cardinality(f"{BASE}/", tenant="acme", limit=5, client=client)

    assert found.series == 900
    assert found.metrics is not None
    assert found.metrics.rows() == [("big", 800), ("small", 100)]
    assert seen[0].headers["X-Scope-OrgID"] == "acme"
    assert dict(seen[0].url.params) == {
        "label_names[]": "__name__",
        "limit": "5",
        "count_method": "inmemory",
    }


async def test_a_tenant_without_series_has_no_metrics() -> None:
    empty = httpx.Response(200, json={"series_count_total": 0, "labels": []})
    async with serving((VALUES, empty)) as client:
        found = await cardinality(BASE, tenant="acme", limit=5, client=client)

    assert found.series == 0
    assert found.metrics is not None
    assert found.metrics.schema == METRICS


async def test_cortex_tells_only_how_many_there_are() -> None:
    stats = httpx.Response(200, json={"ingestionRate": 8.5, "numSeries": 20})
    async with serving((STATS, stats)) as client:
        found = await cardinality(BASE, tenant="acme", limit=5, client=client)

    assert found.series == 20
    assert found.metrics is None


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(
            httpx.Response(400, text=OFF), "querier.cardinality-analysis-enabled", id="off"
        ),
        pytest.param(httpx.Response(403, text="no"), "the credentials lack the right", id="403"),
        pytest.param(httpx.Response(200, text="<html>"), "no JSON object", id="a-proxy"),
        pytest.param(httpx.Response(200, json=[]), "no JSON object", id="a-list"),
    ],
)
async def test_a_refusal_names_the_way_out(answer: httpx.Response, says: str) -> None:
    async with serving((VALUES, answer)) as client:
        with pytest.raises(ConfigError, match=says):
            await cardinality(BASE, tenant="acme", limit=5, client=client)


async def test_an_overloaded_mimir_may_be_asked_again() -> None:
    async with serving((VALUES, httpx.Response(503))) as client:
        with pytest.raises(MimirUnavailable):
            await cardinality(BASE, tenant="acme", limit=5, client=client)


@pytest.mark.parametrize(
    ("allowed", "limit", "used"),
    [(1000.0, "1,000", 80.0), (0.0, "unlimited", None), (None, None, None)],
)
def test_series_are_told_against_the_limit_of_the_tenant(
    allowed: float | None, limit: str | None, used: float | None
) -> None:
    """Zero is unlimited and no share of it is used."""
    metrics = pl.DataFrame([("big", 800)], schema=METRICS, orient="row")

    found = against(metrics, allowed=allowed)

    assert found.select("limit", "used_percent").row(0) == (limit, used)


def settings() -> Settings:
    return parse_settings({"mimir": {"endpoints": ["http://ingester", "http://querier"]}})


async def test_processes_are_asked_in_turn_until_one_can_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "ingester":
            return httpx.Response(404)
        if request.url.path == "/api/v1/user_limits":
            return httpx.Response(200, json={"max_global_series_per_metric": 1000})
        return httpx.Response(200, json=ANSWER)

    transport = httpx.MockTransport(answer)
    monkeypatch.setattr(
        "deployments.cardinality.client_of", lambda *_, **__: httpx.AsyncClient(transport=transport)
    )

    found, allowed = await ask(settings(), tenant="acme", limit=5, url=None)

    assert found.series == 900
    assert allowed == 1000


async def test_the_refusal_that_tells_most_is_the_one_that_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        off = request.url.host == "querier"
        return httpx.Response(400, text=OFF) if off else httpx.Response(404)

    transport = httpx.MockTransport(answer)
    monkeypatch.setattr(
        "deployments.cardinality.client_of", lambda *_, **__: httpx.AsyncClient(transport=transport)
    )

    with pytest.raises(ConfigError, match="cardinality analysis is off for acme"):
        await ask(settings(), tenant="acme", limit=5, url=None)
