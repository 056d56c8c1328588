"""How a past day is asked for: within the budget of queries, patiently, and whole or not at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from policy.cost.periods import Period
from policy.cost.usage import SIGNAL_OF
from policy.errors import ConfigError
from policy.settings import parse_settings
from tasks.backfill import PromqlSource
from tasks.promql_http import PromqlUnavailable, promql_client
from tests.flows.backfiller import NOW, USERS, answer

DAY = Period(start=NOW - timedelta(days=1), end=NOW)
Handler = Callable[[httpx.Request], Awaitable[httpx.Response]]


async def asked(handler: Handler, **promql: object) -> Any:  # noqa: ANN401 - Filled
    told = {"matchers": 'job="mimir"', "tenant": "ops", **promql}
    settings = parse_settings({"promql": told}).promql

    async def at_once(_: float) -> None:
        await asyncio.sleep(0)

    async with promql_client(settings, transport=httpx.MockTransport(handler)) as client:
        source = PromqlSource(promql=settings, client=client, clock=lambda: NOW, sleep=at_once)
        return await source.day(DAY)


@pytest.mark.parametrize("budget", [1, 2, 4])
async def test_no_more_questions_are_under_way_than_the_budget_allows(budget: int) -> None:
    under_way, most, forms = 0, 0, []

    async def handler(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(5):
            await asyncio.sleep(0)
        under_way -= 1
        forms.append({name: value[0] for name, value in parse_qs(request.content.decode()).items()})
        assert request.headers["X-Scope-OrgID"] == "ops"
        assert request.url.path == "/api/v1/query_range"
        return answer(request)

    found = await asked(handler, maxConcurrentQueries=budget)

    assert most == budget
    assert len(forms) == len(SIGNAL_OF) + 2  # what kind of cluster it was, and who was scraped
    first, last = DAY.start + timedelta(hours=1), DAY.end
    assert {(form["start"], form["end"], form["step"]) for form in forms} == {
        (f"{first.timestamp():.3f}", f"{last.timestamp():.3f}", "3600")
    }
    assert found.hours.height == 24 * len(USERS) * len(SIGNAL_OF)
    assert found.hours["at"].min() == DAY.start


async def test_a_question_that_is_refused_for_now_is_asked_again() -> None:
    seen: set[bytes] = set()

    async def handler(request: httpx.Request) -> httpx.Response:
        if request.content not in seen:
            seen.add(request.content)
            return httpx.Response(503)
        return answer(request)

    found = await asked(handler)

    assert found.hours_missing == 0
    assert len(seen) == len(SIGNAL_OF) + 2


async def test_a_partial_answer_is_no_day() -> None:
    async def handler(request: httpx.Request) -> httpx.Response:
        told = json.loads(answer(request).content)
        return httpx.Response(200, json={**told, "warnings": ["one store did not answer"]})

    with pytest.raises(PromqlUnavailable, match="not all of it is there"):
        await asked(handler)


async def test_a_day_that_takes_too_long_names_the_day_and_the_setting() -> None:
    async def handler(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(PromqlUnavailable, match=r"2026-11-22 within 0\.05 s \(promql\.totalTime"):
        await asked(handler, timeout="5s", totalTimeout="50ms")


async def test_wrong_credentials_are_the_operators_to_correct() -> None:
    async def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(401)

    with pytest.raises(ConfigError, match="401"):
        await asked(handler)
