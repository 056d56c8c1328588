"""Asking PromQL: who we are, whom we believe, when we ask again, and what is refused."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from policy.errors import ConfigError, OptimizerError
from policy.settings import parse_settings
from policy.settings.promql import Promql
from tasks.promql import ask_promql, collect_promql
from tasks.promql_answer import PartialAnswer
from tasks.promql_http import PromqlUnavailable, promql_client
from tasks.promql_pair import Pair

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRET = "s3cret-of-the-test"
EMPTY = {"status": "success", "data": {"resultType": "vector", "result": []}}

Handler = Callable[[httpx.Request], httpx.Response]


def promql(**given: object) -> Promql:
    return parse_settings({"promql": {"url": "http://prom:9090", **given}}).promql


async def asked(
    handler: Handler, *, waits: list[float] | None = None, chance: float = 0.0, **given: object
) -> Pair:
    """One look, that notes how long it would have waited instead of waiting."""

    async def sleep(seconds: float) -> None:
        if waits is not None:
            waits.append(seconds)

    settings = promql(**given)
    async with promql_client(settings, transport=httpx.MockTransport(handler)) as client:
        return await ask_promql(
            settings, client=client, clock=lambda: NOON, sleep=sleep, chance=lambda: chance
        )


async def request_of(**given: object) -> httpx.Request:
    requests: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=EMPTY)

    with pytest.raises(PromqlUnavailable, match="knows no target"):
        await asked(handler, **given)  # type: ignore[arg-type]
    return requests[0]


async def test_questions_are_posted_below_the_prefix_whether_or_not_it_ends_in_a_slash() -> None:
    request = await request_of(url="http://mimir:8080/prometheus/", timeout="3s")

    assert request.method == "POST"
    assert str(request.url) == "http://mimir:8080/prometheus/api/v1/query"
    assert b"timeout=3000ms" in request.content


async def test_the_tenant_and_the_headers_are_sent() -> None:
    request = await request_of(tenant="ops|x", headers={"X-Extra": SECRET})

    assert request.headers["X-Scope-OrgID"] == "ops|x"
    assert request.headers["X-Extra"] == SECRET


async def test_a_user_and_a_password_from_a_file_are_sent(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")

    request = await request_of(basicAuth={"username": "ops", "passwordFile": str(file)})

    told = base64.b64encode(f"ops:{SECRET}".encode()).decode()
    assert request.headers["Authorization"] == f"Basic {told}"


@pytest.mark.parametrize("source", ["value", "file"])
async def test_a_token_is_sent(source: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n")
    given = {"value": {"bearerToken": SECRET}, "file": {"bearerTokenFile": str(file)}}[source]

    request = await request_of(**given)

    assert request.headers["Authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("given", ["headers", "bearer_token"])
async def test_a_secret_that_no_header_may_hold_is_refused_without_showing_it(given: str) -> None:
    """What is underneath would put the whole value into its error."""
    broken = f"{SECRET}\n{SECRET}"
    settings = {"headers": {"headers": {"X-Key": broken}}, "bearer_token": {given: broken}}[given]

    with pytest.raises(ConfigError, match="line break") as refusal:
        await request_of(**settings)

    assert SECRET not in str(refusal.value)


async def test_the_line_break_at_the_end_of_a_secret_is_not_sent() -> None:
    request = await request_of(headers={"Authorization": f"Bearer {SECRET}\n"})

    assert request.headers["Authorization"] == f"Bearer {SECRET}"


async def test_a_secret_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"promql\.bearerTokenFile: .*nowhere cannot be read"):
        await asked(lambda _: httpx.Response(500), bearerTokenFile=str(tmp_path / "nowhere"))


async def test_certificates_that_are_none_are_named(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")

    with pytest.raises(ConfigError, match=r"promql\.tls: .*ca\.pem cannot be used"):
        await asked(lambda _: httpx.Response(500), tls={"caFile": str(file)})


async def test_what_is_overloaded_is_asked_again_after_as_long_as_it_asked_for() -> None:
    answers = iter([httpx.Response(429, headers={"Retry-After": "7"})])
    waits: list[float] = []

    with pytest.raises(PromqlUnavailable, match="knows no target"):
        await asked(
            lambda _: next(answers, None) or httpx.Response(200, json=EMPTY),
            waits=waits,
            chance=0.5,
        )

    assert waits == [7 * 1.25]


async def test_what_stays_down_is_asked_again_ever_later_and_then_given_up() -> None:
    waits: list[float] = []

    with pytest.raises(PromqlUnavailable, match="503") as refusal:
        await asked(
            lambda _: httpx.Response(503, json={"status": "error", "error": "starting\nup"}),
            waits=waits,
            maxConcurrentQueries=1,
        )

    assert "(starting up)" in str(refusal.value)
    assert sorted(set(waits)) == [0.5, 1.0, 2.0, 4.0]


async def test_what_asks_for_more_patience_than_there_is_is_not_waited_for() -> None:
    waits: list[float] = []

    with pytest.raises(PromqlUnavailable) as refusal:
        await asked(
            lambda _: httpx.Response(429, headers={"Retry-After": "60"}),
            waits=waits,
            totalTimeout="30s",
        )

    assert waits == []
    assert refusal.value.retry_after_seconds == 60


async def test_a_wrong_address_is_not_asked_again() -> None:
    waits: list[float] = []

    with pytest.raises(ConfigError):
        await asked(lambda _: httpx.Response(404), waits=waits)

    assert waits == []


def broken_off(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("", request=request)


def reset(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("connection reset", request=request)


def untrusted(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED]", request=request)


def says(_code: int = 200, /, **body: object) -> Handler:
    return lambda _: httpx.Response(_code, json=body)


def text(body: str, status: int = 200) -> Handler:
    return lambda _: httpx.Response(status, text=body)


DATA = {"resultType": "vector", "result": []}
PARTIAL = {"status": "success", "data": DATA}

BAD: dict[str, tuple[Handler, type[OptimizerError], str]] = {
    "timeout": (broken_off, OptimizerError, "did not answer in time"),
    "reset": (reset, OptimizerError, "connection reset"),
    "untrusted": (untrusted, ConfigError, "promql.tls.caFile"),
    "500": (text("oops", 500), PromqlUnavailable, "500"),
    "400": (says(400, status="error", error="parse error"), ConfigError, "(parse error)"),
    "401": (text("no org id", 401), ConfigError, "promql.tenant"),
    "403": (text("", 403), ConfigError, "promql.bearerToken"),
    "404": (text("404 page not found", 404), ConfigError, "/prometheus"),
    "405": (text("", 405), ConfigError, "promql.url"),
    "422": (says(422, status="error", error="too many"), ConfigError, "promql.maxSeriesPerQuery"),
    "login": (
        lambda _: httpx.Response(302, headers={"Location": "https://sso/login?x=1"}),
        ConfigError,
        "login page",
    ),
    "html": (text("<!doctype html><html>"), ConfigError, "answered HTML"),
    "text": (text("ok"), ConfigError, "another program"),
    "empty": (text(""), ConfigError, "another program"),
    "null": (text("null"), ConfigError, "another program"),
    "other-json": (says(took=3, hits=[]), ConfigError, "another program"),
    "cut": (text('{"status":"success","data":{"resul'), PromqlUnavailable, "cut short"),
    "kind": (
        says(status="success", data={"resultType": "matrix", "result": []}),
        ConfigError,
        "no vector",
    ),
    "no-data": (says(status="success"), ConfigError, "no vector"),
    "no-number": (
        says(
            status="success",
            data={"resultType": "vector", "result": [{"metric": {}, "value": [1, "10k"]}]},
        ),
        ConfigError,
        "no numbers",
    ),
    "no-point": (
        says(
            status="success",
            data={"resultType": "vector", "result": [{"metric": {}, "value": [1]}]},
        ),
        ConfigError,
        "no numbers",
    ),
    "error": (
        says(status="error", errorType="execution", error="bad\nthing"),
        ConfigError,
        "(execution): bad thing",
    ),
    "error-passing": (
        says(status="error", errorType="timeout", error="slow"),
        PromqlUnavailable,
        "(timeout): slow",
    ),
    "warnings": (says(**PARTIAL, warnings=["a store is down"]), PartialAnswer, "a store is down"),
    "infos": (says(**PARTIAL, infos=["Partial data"]), PartialAnswer, "Partial data"),
    "is-partial": (says(**PARTIAL, isPartial=True), PartialAnswer, "partial"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_what_is_not_the_whole_answer_is_refused_in_one_line_without_a_secret(
    kind: str,
) -> None:
    handler, error, line = BAD[kind]

    with pytest.raises(error) as refusal:
        await asked(
            handler,
            bearerToken=SECRET,
            headers={"X-Key": SECRET},
            tenant="ops",
        )

    assert line in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert SECRET not in str(refusal.value)


async def test_an_info_that_takes_nothing_away_is_let_through() -> None:
    with pytest.raises(PromqlUnavailable, match="knows no target"):
        await asked(says(**PARTIAL, infos=["PromQL info: metric might not be a counter"]))


async def test_when_no_pod_is_heard_the_step_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        body = request.content.decode()
        labels = {"pod": "d-0", "__name__": "cortex_x"}
        value = "1" if "count" in body else "0"
        result = [{"metric": labels, "value": [NOON.timestamp(), value]}]
        kind = "matrix" if body.split("&")[0].endswith("ms%5D") else "vector"
        data = {"resultType": kind, "result": [] if kind == "matrix" else result}
        return httpx.Response(200, json={"status": "success", "data": data})

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    monkeypatch.setattr("tasks.promql.promql_client", lambda *_, **__: client)

    with pytest.raises(PromqlUnavailable, match=r"none of 1 Mimir processes is heard.*up is 0"):
        await collect_promql(promql(), clock=lambda: NOON)
