"""Both sources in front of one simulated cluster: a real Prometheus scrapes it, and so do we."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import httpx
import polars as pl
import pytest

from deployments.checks.promql import check_promql
from policy.demand import demand
from policy.errors import RetriableError
from policy.scrape import FAMILIES, Pod, Scrape
from policy.settings import Settings, parse_settings
from policy.signals import ACTIVE_SERIES, INGESTION_RATE, QUERY_QUEUE_LENGTH, SERIES
from simulator import Cluster, Plan, Tenant, endpoints, running
from tasks.http import mimir_client
from tasks.promql import collect_promql
from tasks.promql_pair import Pair
from tasks.scrape import scrape

SPEED = 60  # minutes of the simulated cluster pass in seconds of the test
LENGTH = timedelta(seconds=8)
DIRECT_EVERY_SECONDS = 0.25
PROCESSES = 6


def tenant(name: str, *, habit: str, samples: float, churn: float = 0.0) -> Tenant:
    return Tenant(
        name=name,
        habit=habit,
        samples_per_second=samples,
        series=samples * 10,
        churn_per_second=churn,
        key=len(name),
    )


TENANTS = (
    tenant("steady", habit="steady", samples=3_000),
    tenant("of-the-day", habit="diurnal", samples=5_000),
    tenant("odd!*'()name", habit="steady", samples=800),
    tenant("held-back", habit="steady", samples=2_000),
)
LIMITS = {"held-back": {"ingestion_rate": 500, "ingestion_burst_size": 5_000}}


@pytest.fixture(scope="module")
def prometheus(debian_tool: Callable[[str, str], str]) -> str:
    return debian_tool("prometheus", "prometheus")


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Pod]]:
    """The processes of a simulated cluster that lives a minute each second."""
    file = tmp_path_factory.mktemp("mimir") / "runtime.json"
    free = {"ingestion_rate": 1e9, "ingestion_burst_size": 1_000_000_000}
    file.write_text(json.dumps({"overrides": {t.name: free for t in TENANTS} | LIMITS}))
    plan = Plan(tenants=TENANTS, runtime_files=[file], blast_after_seconds=1e9)
    origin, started = time.time(), time.monotonic()
    cluster = Cluster(plan, clock=lambda: origin + (time.monotonic() - started) * SPEED)
    with running(cluster) as server:
        urls = endpoints(server.server_address[1])
        yield [Pod(name=url.rpartition("/")[2], url=url) for url in urls]


@pytest.fixture(scope="module")
def settings(
    prometheus: str, pods: list[Pod], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings that name a Prometheus that scrapes every process each second."""
    targets = [
        {
            "targets": [httpx.URL(pod.url).netloc.decode()],
            "labels": {"__metrics_path__": f"/{pod.name}/metrics", "pod": pod.name},
        }
        for pod in pods
    ]
    every = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    job = {"job_name": "mimir/all", "static_configs": targets}
    folder = tmp_path_factory.mktemp("prometheus")
    config = folder / "prometheus.yaml"
    config.write_text(json.dumps({"global": every, "scrape_configs": [job]}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    process = subprocess.Popen(
        [
            prometheus,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={address}",
            "--log.level=error",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield parse_settings(
            {
                "metricsSource": "promql",
                "mimir": {"endpoints": [pod.url for pod in pods]},
                "promql": {"url": f"http://{address}", "delay": "0s", "maxSeriesPerQuery": 60},
            }
        )
    finally:
        process.terminate()
        process.wait(timeout=20)


async def pair_of_all(settings: Settings, *, since: datetime | None = None) -> Pair:
    """The first look that finds two scrapes of every process, the newer ones not before then."""
    async with asyncio.timeout(30):
        while True:
            with suppress(RetriableError):
                pair = await collect_promql(settings.promql, clock=lambda: datetime.now(UTC))
                whole = len(pair.previous.answered) == PROCESSES
                if whole and (since is None or pair.current.readings["at"].min() >= since):  # type: ignore[operator]
                    return pair
            await asyncio.sleep(0.2)


async def scraped(pods: list[Pod], *, enough: asyncio.Event) -> list[Scrape]:
    """Our own scrapes of all processes, four in a second; at least one."""
    found: list[Scrape] = []
    async with mimir_client(timeout_seconds=5, headers={}) as client:
        while not (found and enough.is_set()):
            found.append(await scrape(pods, client=client, clock=lambda: datetime.now(UTC)))
            with suppress(TimeoutError):
                await asyncio.wait_for(enough.wait(), DIRECT_EVERY_SECONDS)
    return found


def nearest(scrapes: list[Scrape], *, to: Scrape) -> Scrape:
    """Of each process our own reading nearest in time to that of Prometheus."""
    moments = to.readings.group_by("pod").agg(pl.col("at").max().alias("theirs"))
    ours = (
        pl.concat([one.readings.select("pod", "at").unique() for one in scrapes])
        .join(moments, on="pod")
        .with_columns((pl.col("at") - pl.col("theirs")).abs().alias("apart"))
        .sort("apart")
        .unique("pod", keep="first", maintain_order=True)
    )
    assert ours["apart"].max() < timedelta(seconds=0.5)  # type: ignore[operator]
    return Scrape(
        at=to.at,
        readings=pl.concat([one.readings for one in scrapes]).join(
            ours.select("pod", "at"), on=["pod", "at"], how="semi"
        ),
        answered=scrapes[0].answered,
        failed={},
    )


async def test_both_sources_give_the_same_demand_on_the_same_minutes(
    settings: Settings, pods: list[Pod]
) -> None:
    """
    Eight minutes of the cluster, seen by Prometheus and by ourselves: each tenant's every
    signal agrees within 2 %.
    """
    enough = asyncio.Event()
    own = asyncio.create_task(scraped(pods, enough=enough))
    # Whatever Prometheus had before ours began cannot be compared.
    first = (await pair_of_all(settings, since=datetime.now(UTC))).current
    pair = await pair_of_all(settings, since=first.at + LENGTH)
    enough.set()
    before = pair.since(first)

    through_promql = demand(pair.current, before)
    ourselves = demand(nearest(await own, to=pair.current), nearest(await own, to=before))

    both = through_promql.join(ourselves, on=["tenant", "signal"], how="full", suffix="_own")
    assert both.null_count().sum_horizontal().item() == 0
    assert set(both["tenant"]) >= {one.name for one in TENANTS}
    assert set(both["signal"]) >= {INGESTION_RATE, SERIES, ACTIVE_SERIES}
    assert both.filter(pl.col("coverage") != 1).is_empty()
    # A queue is another one half a second later, whoever looks.
    held = both.filter(pl.col("signal") != QUERY_QUEUE_LENGTH)
    # What happens every second or so is whole counts: one may fall between two looks.
    one_count_per_second = 1 / LENGTH.total_seconds()
    most = pl.max_horizontal(pl.col("value_own") * 0.02, one_count_per_second)
    apart = (pl.col("value") - pl.col("value_own")).abs()
    assert held.filter(apart > most).select("tenant", "signal", "value", "value_own").rows() == []
    sized = held.filter(pl.col("signal").is_in([INGESTION_RATE, SERIES, ACTIVE_SERIES]))
    assert sized.filter(apart > pl.col("value_own") * 0.02).rows() == []


async def test_the_doctor_finds_a_real_prometheus_well(settings: Settings) -> None:
    await pair_of_all(settings)

    checks = await check_promql(settings)

    assert [check for check in checks if check.outcome != "ok"] == []
    assert {check.name for check in checks} >= {"promql pods", "promql rates"}


async def test_what_is_read_of_prometheus_has_every_family_of_ours_that_the_pages_have(
    settings: Settings, pods: list[Pod]
) -> None:
    pair = await pair_of_all(settings)
    enough = asyncio.Event()
    enough.set()
    own = (await scraped(pods, enough=enough))[0]

    keys = ("pod", "family", "user", "reason", "limit", "limit_name", "sha256")
    through_promql, ourselves = (
        set(one.readings.select(keys).unique().rows()) for one in (pair.current, own)
    )
    assert through_promql == ourselves
    assert {row[1] for row in ourselves} <= FAMILIES
