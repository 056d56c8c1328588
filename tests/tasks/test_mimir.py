"""Asking one Mimir process what it has loaded, and reading its refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import polars as pl
import pytest
from pydantic import SecretStr

from policy.errors import ConfigError, OptimizerError
from policy.frames import LIMITS, READINGS
from policy.scrape import RELOAD_SUCCESSFUL, RUNTIME_HASH, Scrape
from tasks.http import MimirUnavailable, mimir_client
from tasks.mimir import build_version, default_limits, reload_states, runtime_overrides

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BASE = "http://mimir:8080"
CAPTURED = (
    Path(__file__).parent.parent / "fixtures" / "metrics" / "mimir-runtime_config-diff-200.yaml"
).read_text()

Handler = Callable[[httpx.Request], httpx.Response]


@asynccontextmanager
async def mimir(handler: Handler, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    async with mimir_client(
        timeout_seconds=1,
        headers={name: SecretStr(value) for name, value in headers.items()},
        transport=httpx.MockTransport(handler),
    ) as client:
        yield client


def serves(**answers: str | tuple[int, str]) -> Handler:
    """A Mimir that answers these paths (written with _ for /) and 404 to all others."""

    def handler(request: httpx.Request) -> httpx.Response:
        answer = answers.get(request.url.path.strip("/").replace("/", "_"), (404, ""))
        status, text = answer if isinstance(answer, tuple) else (200, answer)
        return httpx.Response(status, text=text)

    return handler


async def test_a_header_that_cannot_be_sent_is_refused_without_its_value() -> None:
    """What is underneath would put the whole value into its error."""
    with pytest.raises(ConfigError, match=r"mimir\.headers\.Authorization") as refusal:
        async with mimir(serves(), Authorization="Bearer s3cret\nX: y"):
            pass

    assert "s3cret" not in str(refusal.value)


async def test_the_line_break_at_the_end_of_a_header_is_not_sent() -> None:
    async with mimir(serves(), Authorization="Bearer s3cret\n") as client:
        assert client.headers["Authorization"] == "Bearer s3cret"


async def test_the_captured_overrides_are_read() -> None:
    asked: list[httpx.URL] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, text=CAPTURED)

    async with mimir(handler) as client:
        found = await runtime_overrides(f"{BASE}/", client=client)

    numbers = [line.split(":") for line in CAPTURED.splitlines() if line.startswith(" " * 8)]
    assert found.schema == LIMITS
    assert found.height == len(numbers)
    assert found.get_column("value").sum() == sum(float(number) for _, number in numbers)
    assert found.filter(tenant="blast").select("limit", "value").rows() == [
        ("ingestion_burst_size", 1000.0),
        ("ingestion_rate", 500.0),
        ("max_global_series_per_user", 10000.0),
    ]
    assert [str(url) for url in asked] == [f"{BASE}/runtime_config?mode=diff"]


async def test_only_numbers_are_limits_and_tenants_are_text() -> None:
    document = """
overrides:
  "0123": {ingestion_rate: 1e+06, ruler_evaluation_delay_duration: 1m, ha_replica_label: x}
  42: {accept_ha_samples: true, max_label_names_per_series: 30, drop_labels: [a]}
  empty:
ingester_limits: {max_series: 5}
"""
    async with mimir(serves(runtime_config=document)) as client:
        found = await runtime_overrides(BASE, client=client)

    assert found.rows() == [
        ("0123", "ingestion_rate", 1e6),
        ("42", "max_label_names_per_series", 30.0),
    ]


@pytest.mark.parametrize(
    "text", ["runtime config file doesn't exist", "", "overrides: {}\n", "{}\n", "null\n"]
)
async def test_without_overrides_the_frame_is_empty(text: str) -> None:
    async with mimir(serves(runtime_config=text)) as client:
        found = await runtime_overrides(BASE, client=client)

    assert found.is_empty()
    assert found.schema == LIMITS


@pytest.mark.parametrize("text", ["<html>\n<p>: {\n", "just words", "- a\n- b\n"])
async def test_an_answer_of_another_program_is_refused(text: str) -> None:
    async with mimir(serves(runtime_config=text)) as client:
        with pytest.raises(ConfigError, match=f"{BASE}/runtime_config answered something"):
            await runtime_overrides(BASE, client=client)


async def test_the_defaults_are_the_numbers_of_the_limits_block() -> None:
    document = """
target: all
limits:
  ingestion_rate: 10000
  ingestion_burst_factor: 1.5
  request_rate: 0
  accept_ha_samples: false
  compactor_blocks_retention_period: 0s
distributor: {ring: {heartbeat_timeout: 1m0s}, max_recv_msg_size: 5}
"""
    async with mimir(serves(config=document)) as client:
        found = await default_limits(BASE, client=client)

    assert found == {"ingestion_rate": 10000.0, "ingestion_burst_factor": 1.5, "request_rate": 0.0}


async def test_a_config_without_limits_is_refused() -> None:
    async with mimir(serves(config="server: {port: 1}\n")) as client:
        with pytest.raises(ConfigError, match="no `limits` block"):
            await default_limits(BASE, client=client)


@pytest.mark.parametrize(
    ("answers", "version"),
    [
        pytest.param(
            {"api_v1_status_buildinfo": '{"status":"success","data":{"version":"3.0.3"}}'},
            "3.0.3",
            id="own-path",
        ),
        pytest.param(
            {"prometheus_api_v1_status_buildinfo": '{"data":{"version":"2.17.1"}}'},
            "2.17.1",
            id="prometheus-path",
        ),
        pytest.param({}, None, id="no-path"),
        pytest.param(
            {"api_v1_status_buildinfo": '{"data":{"version":"unknown"}}'}, None, id="unknown"
        ),
        pytest.param({"api_v1_status_buildinfo": "[]"}, None, id="no-version"),
    ],
)
async def test_the_version_is_what_the_build_says(
    answers: dict[str, str], version: str | None
) -> None:
    async with mimir(serves(**answers)) as client:
        assert await build_version(BASE, client=client) == version


async def test_a_version_that_is_not_json_is_refused() -> None:
    async with mimir(serves(api_v1_status_buildinfo="<html>")) as client:
        with pytest.raises(ConfigError, match="not JSON"):
            await build_version(BASE, client=client)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (302, "login page or proxy"),
        (400, "does not take this request"),
        (401, "check the Authorization header"),
        (403, "X-Scope-OrgID"),
        (404, "check the path prefix"),
    ],
)
async def test_a_refusal_that_stays_is_a_setting_to_change(status: int, says: str) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={"Location": "/login?next=1"})

    async with mimir(handler) as client:
        with pytest.raises(ConfigError, match=says) as caught:
            await default_limits(BASE, client=client)

    assert str(caught.value).startswith(f"{BASE}/config answered {status}")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 529])
async def test_a_refusal_that_may_pass_is_worth_another_try(status: int) -> None:
    async with mimir(serves(config=(status, ""))) as client:
        with pytest.raises(MimirUnavailable, match=f"{BASE}/config answered {status}") as caught:
            await default_limits(BASE, client=client)

    assert caught.value.retry_after_seconds is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"Retry-After": "7"}, 7.0, id="seconds"),
        pytest.param(
            {
                "Date": "Sun, 01 Mar 2026 12:00:00 GMT",
                "Retry-After": "Sun, 01 Mar 2026 12:00:30 GMT",
            },
            30.0,
            id="date",
        ),
        pytest.param({"Retry-After": "Sun, 01 Mar 2026 12:00:30 GMT"}, None, id="no-date-to-tell"),
        pytest.param({"Retry-After": "soon"}, None, id="nonsense"),
    ],
)
async def test_the_wait_that_mimir_asks_for_is_kept(
    headers: dict[str, str], seconds: float | None
) -> None:
    async with mimir(lambda _: httpx.Response(429, headers=headers)) as client:
        with pytest.raises(MimirUnavailable) as caught:
            await default_limits(BASE, client=client)

    assert caught.value.retry_after_seconds == seconds


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout, httpx.ReadError])
async def test_no_answer_is_worth_another_try(error: type[httpx.TransportError]) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error("broken", request=request)

    async with mimir(handler) as client:
        with pytest.raises(MimirUnavailable, match=f"{BASE}/config"):
            await default_limits(BASE, client=client)


@pytest.mark.parametrize("address", ["mimir:8080", "ftp://mimir", "http://[::1"])
async def test_an_address_that_is_none_is_a_setting_to_change(address: str) -> None:
    async with mimir_client(timeout_seconds=1, headers={}) as client:
        with pytest.raises(ConfigError, match="address"):
            await default_limits(address, client=client)


async def test_secret_headers_are_sent_and_never_told() -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        return httpx.Response(401, text="bad token hunter2")

    async with mimir(handler, Authorization="Bearer hunter2") as client:
        with pytest.raises(ConfigError) as caught:
            await default_limits(BASE, client=client)

    assert seen == ["Bearer hunter2"]
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 401, 503])
async def test_a_password_in_an_address_is_never_told(status: int) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={"Location": "/login?token=hunter2"})

    async with mimir(handler) as client:
        with pytest.raises(OptimizerError) as caught:
            await default_limits("http://bob:hunter2@mimir:8080", client=client)

    assert "mimir:8080/config" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_reload_state_of_each_pod_is_read_from_the_scrape() -> None:
    """
    A pod that rejected a file keeps the hash of the last good one.
    """
    rows = [
        {"pod": "x", "family": RELOAD_SUCCESSFUL, "value": 1.0},
        {"pod": "x", "family": RUNTIME_HASH, "sha256": "new", "value": 1.0},
        {"pod": "y", "family": RELOAD_SUCCESSFUL, "value": 0.0},
        {"pod": "y", "family": RUNTIME_HASH, "sha256": "old", "value": 1.0},
        {"pod": "z", "family": RELOAD_SUCCESSFUL, "value": 1.0},
        {"pod": "mute", "family": "cortex_ingester_active_series", "value": 1.0},
    ]
    readings = pl.DataFrame(
        [dict.fromkeys(READINGS) | {"at": NOON} | row for row in rows], schema=READINGS
    )
    scrape = Scrape(at=NOON, readings=readings, answered=("x", "y", "z", "mute"), failed={})

    found = reload_states(scrape)

    assert found.rows() == [("x", True, "new"), ("y", False, "old"), ("z", True, None)]
    assert found.columns == ["pod", "successful", "sha256"]
