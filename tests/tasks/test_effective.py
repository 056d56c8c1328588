"""The limits in force: each source where it is open, and the same answer from all of them."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import polars as pl
import pytest

from policy import sources
from policy.document import parse
from policy.effective import EVERYONE
from policy.errors import ConfigError
from policy.exporter import exported_limits
from policy.frames import READINGS, empty
from policy.scrape import CORTEX_OVERRIDES, FAMILIES
from simulator import Cluster, Plan, endpoints, roster, running
from tasks.effective import limits_told, told_by_api
from tasks.exposition import read_pages
from tasks.http import MimirUnavailable, mimir_client
from tasks.mimir import default_limits, runtime_overrides
from tasks.user_limits import user_limits

METRICS = Path(__file__).parent.parent / "fixtures" / "metrics"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BASE = "http://mimir"
RATE, SERIES = "ingestion_rate", "max_global_series_per_user"

Handler = Callable[[httpx.Request], httpx.Response]


def page(text: bytes) -> pl.DataFrame:
    """READINGS of one page."""
    rows = read_pages({BASE: text}, families=FAMILIES).rows
    return rows.with_columns(at=pl.lit(NOON).cast(READINGS["at"])).select(READINGS.names())


def captured(name: str) -> pl.DataFrame:
    return page(gzip.decompress((METRICS / name).read_bytes()))


def serving(answers: dict[str, str]) -> httpx.AsyncClient:
    """A Mimir that answers these paths and 404 to all others."""

    def answer(request: httpx.Request) -> httpx.Response:
        text = answers.get(request.url.path)
        return httpx.Response(404) if text is None else httpx.Response(200, text=text)

    return client(answer)


def client(handler: Handler) -> httpx.AsyncClient:
    return mimir_client(timeout_seconds=1, headers={}, transport=httpx.MockTransport(handler))


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[tuple[Cluster, tuple[str, ...], Path]]:
    """A cluster with limits of its operator and limits of ours."""
    base, ours = tmp_path / "runtime.yaml", tmp_path / "overrides.yaml"
    base.write_text(json.dumps({"overrides": {"acme": {RATE: 7_000, "max_query_lookback": "1d"}}}))
    tenants = roster(3, seed=1)
    names = [tenant.name for tenant in tenants]
    ours.write_text(
        json.dumps({"overrides": {names[0]: {RATE: 5, SERIES: 0}, names[1]: {RATE: 9}}})
    )
    plan = Plan(tenants=tenants, runtime_files=[base, ours])
    cluster = Cluster(plan, clock=NOON.timestamp)
    with running(cluster) as server:
        yield cluster, endpoints(int(server.url.rpartition(":")[2])), ours


async def test_four_sources_agree_on_one_cluster(
    simulated: tuple[Cluster, tuple[str, ...], Path],
) -> None:
    cluster, pods, ours = simulated
    names = [tenant.name for tenant in cluster.plan.tenants]
    async with mimir_client(timeout_seconds=5, headers={}) as client:
        exporter = next(pod for pod in pods if "overrides-exporter" in pod)
        readings = page((await client.get(f"{exporter}/metrics")).content)
        by_file, exported = await limits_told(pods, client=client, readings=readings)
        by_api = await told_by_api(pods, tenants=[*names, "acme"], client=client)
    document = sources.told_by_us(parse(ours.read_bytes()))
    told = (by_file, by_api, exported, document)

    assert [one.source for one in told] == list(sources.Source)
    assert sources.disagreements(told).is_empty()

    pairs = by_api.limits.join(exported.defaults, on="limit", how="semi").select("tenant", "limit")
    answers = [
        sources.effective([one], pairs).sort("tenant", "limit").drop("source")
        for one in (by_file, by_api, exported)
    ]
    assert answers[0].height == pairs.height == 4 * 10
    assert answers[0].equals(answers[1])
    assert answers[0].equals(answers[2])


async def test_one_value_changed_behind_our_back_is_named(
    simulated: tuple[Cluster, tuple[str, ...], Path],
) -> None:
    cluster, pods, _ = simulated
    tenant = cluster.plan.tenants[0].name
    async with mimir_client(timeout_seconds=5, headers={}) as client:
        by_api = await told_by_api(pods, tenants=[tenant], client=client)
        by_file = (await limits_told(pods, client=client, readings=empty(READINGS)))[0]
    stale = sources.Told(
        source=by_file.source,
        limits=by_file.limits.with_columns(
            value=pl.when(tenant=tenant, limit=RATE).then(4.0).otherwise("value")
        ),
        defaults=by_file.defaults,
        omits_defaults=True,
    )

    assert sources.disagreements([stale, by_api]).rows() == [
        (tenant, RATE, "/runtime_config", 4.0, "/api/v1/user_limits", 5.0, sources.TWO_VALUES)
    ]


async def test_the_answers_of_a_real_mimir_agree() -> None:
    """Captured from one cluster of Mimir 3.0: runtime configuration, API and exporter."""
    runtime = (METRICS / "mimir-runtime_config-diff-10.yaml").read_text()
    api = (METRICS / "mimir-user_limits-10.json").read_text()
    exported = exported_limits(captured("mimir-all-10-tenants.prom.gz"))
    assert exported is not None
    answers = {"/runtime_config": runtime, "/api/v1/user_limits": api}
    async with serving(answers) as client:
        by_api = await told_by_api([BASE], tenants=["blast"], client=client)
        by_file = sources.Told(
            source=sources.Source.RUNTIME_CONFIG,
            limits=await runtime_overrides(BASE, client=client),
            defaults=exported.defaults,
            omits_defaults=True,
        )

    assert sources.disagreements([by_file, by_api, exported]).is_empty()
    assert by_file.limits.height == exported.limits.height == 8
    assert by_api.limits.height == 11


def test_cortex_shows_every_limit_of_some_tenants_and_nothing_of_others() -> None:
    """Its switches and durations are numbers on the page and no limits of ours."""
    readings = captured("cortex-all-200-tenants.prom.gz")

    found = exported_limits(readings)

    assert found is not None
    assert not found.omits_defaults
    assert found.defaults.is_empty()
    shown = set(readings.filter(family=CORTEX_OVERRIDES)["limit_name"])
    assert {"accept_ha_samples", "compactor_blocks_retention_period"} < shown
    assert "accept_ha_samples" not in found.limits["limit"]
    assert set(found.limits["tenant"]) == set(readings.filter(family=CORTEX_OVERRIDES)["user"])
    assert found.about(pl.DataFrame({"tenant": ["tenant-0150"], "limit": [RATE]})).is_empty()


def test_no_exporter_among_the_pods_is_no_source() -> None:
    assert exported_limits(empty(READINGS)) is None


EXPORTER = b"""
cortex_limits_defaults{limit_name="ingestion_rate"} 1000
cortex_limits_overrides{limit_name="ingestion_rate",user="a"} 70
cortex_limits_overrides{limit_name="ingestion_rate",user="sick"} NaN
cortex_distributor_samples_in_total{user="a"} 1
cortex_distributor_samples_in_total{user="b"} 1
"""


async def test_where_the_runtime_config_is_closed_the_exporter_answers() -> None:
    async with serving({}) as client:
        told = await limits_told([BASE], client=client, readings=page(EXPORTER))

    assert [one.source for one in told] == [sources.Source.EXPORTER]
    assert sources.overridden(told).rows() == [("a", RATE, 70.0)]
    assert sources.defaults_told(told).rows() == [(EVERYONE, RATE, 1000.0)]
    assert sources.names_told(told) == {RATE}


async def test_where_the_exporter_is_missing_too_every_tenant_is_asked_about() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/api/v1/user_limits":
            return httpx.Response(403)
        rate = {"a": 70, "b": 1000}[request.headers["X-Scope-OrgID"]]
        return httpx.Response(200, json={RATE: rate})

    demand = b"\n".join(line for line in EXPORTER.splitlines() if b"limits" not in line)
    async with client(answer) as mimir:
        told = await limits_told([BASE], client=mimir, readings=page(demand + b"\n"))

    assert [one.source for one in told] == [sources.Source.USER_LIMITS]
    assert sorted(sources.overridden(told).rows()) == [("a", RATE, 70.0), ("b", RATE, 1000.0)]
    assert sources.defaults_told(told).is_empty()


async def test_defaults_that_are_closed_are_taken_from_the_exporter() -> None:
    answers = {"/runtime_config": "overrides: {a: {ingestion_rate: 80, request_rate: 3}}"}
    async with serving(answers) as client:
        told = await limits_told([BASE], client=client, readings=page(EXPORTER))

    assert sorted(sources.overridden(told).rows()) == [
        ("a", RATE, 80.0),
        ("a", "request_rate", 3.0),
    ]
    assert sources.defaults_told(told).rows() == [(EVERYONE, RATE, 1000.0)]
    assert sources.names_told(told) is None


async def test_where_nothing_tells_the_error_is_that_of_the_runtime_config() -> None:
    async with serving({}) as client:
        with pytest.raises(ConfigError, match="http://mimir/runtime_config answered 404"):
            await limits_told([BASE], client=client, readings=empty(READINGS))


async def test_an_overloaded_mimir_is_not_asked_tenant_by_tenant() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(503)

    demand = b'cortex_distributor_samples_in_total{user="a"} 1\n'
    async with client(answer) as mimir:
        with pytest.raises(MimirUnavailable):
            await limits_told([BASE], client=mimir, readings=page(demand))

    assert asked == ["/runtime_config", "/config"]


async def test_only_numbers_of_the_api_are_limits() -> None:
    """Zero, absent, negative, text, switches and nested values: kept as told, or left out."""
    body = {
        RATE: 0,
        SERIES: -5,
        "request_rate": "10k",
        "ingestion_burst_size": True,
        "max_fetched_series_per_query": {"nested": 1},
        "compactor_blocks_retention_period_seconds": 60,
        "ingestion_burst_factor": 1.5,
        "max_global_series_per_metric": None,
    }
    async with serving({"/api/v1/user_limits": json.dumps(body)}) as client:
        found = await user_limits(BASE, tenants=["a"], client=client)

    assert found.rows() == [
        ("a", RATE, 0.0),
        ("a", SERIES, -5.0),
        ("a", "ingestion_burst_factor", 1.5),
    ]


async def test_a_tenant_that_is_refused_is_left_out_and_one_that_is_none_is_not_asked() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["X-Scope-OrgID"])
        refused = request.headers["X-Scope-OrgID"] == "no"
        return httpx.Response(403) if refused else httpx.Response(200, json={RATE: 1})

    async with client(answer) as mimir:
        found = await user_limits(BASE, tenants=["a", "a|b", "é", "no", "", "x y!"], client=mimir)

    assert found["tenant"].to_list() == ["a", "x y!"]
    assert set(asked) == {"a", "no", "x y!"}


async def test_no_more_requests_than_allowed_are_open_at_once() -> None:
    open_now, most = 0, 0

    async def answer(_: httpx.Request) -> httpx.Response:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0)
        open_now -= 1
        return httpx.Response(200, json={RATE: 1})

    transport = httpx.MockTransport(answer)
    async with mimir_client(timeout_seconds=1, headers={}, transport=transport) as mimir:
        tenants = [f"tenant-{number}" for number in range(50)]
        found = await user_limits(BASE, tenants=tenants, client=mimir, concurrency=4)

    assert found.height == 50
    assert most == 4


async def test_cortex_tells_the_overrides_of_a_tenant() -> None:
    """A tenant that it does not know is answered with 400."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/api/v1/user-overrides":
            return httpx.Response(404)
        known = request.headers["X-Scope-OrgID"] == "b"
        return httpx.Response(200, json={RATE: 4}) if known else httpx.Response(400)

    async with client(answer) as mimir:
        found = await user_limits(BASE, tenants=["a", "b"], client=mimir)

    assert found.rows() == [("b", RATE, 4.0)]


@pytest.mark.parametrize("text", ["<html>", "[]", "7"])
async def test_an_answer_of_another_program_is_refused(text: str) -> None:
    async with serving({"/api/v1/user_limits": text}) as client:
        with pytest.raises(ConfigError, match="no JSON object"):
            await user_limits(BASE, tenants=["a"], client=client)


async def test_the_defaults_of_the_simulator_are_those_of_its_exporter(
    simulated: tuple[Cluster, tuple[str, ...], Path],
) -> None:
    _, pods, _ = simulated
    exporter = next(pod for pod in pods if "overrides-exporter" in pod)
    async with mimir_client(timeout_seconds=5, headers={}) as client:
        exported = exported_limits(page((await client.get(f"{exporter}/metrics")).content))
        defaults = await default_limits(pods[0], client=client)

    assert exported is not None
    assert {row["limit"]: row["value"] for row in exported.defaults.to_dicts()}.items() <= (
        defaults.items()
    )
