"""Both sources in front of one simulated cluster: a real Prometheus scrapes it, and so do we."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from deployments.checks.promql import check_promql
from policy import signals
from policy.demand import demand
from policy.errors import RetriableError
from policy.frames import READINGS
from policy.scrape import FAMILIES, SERIES_REMOVED, Pod, Scrape
from policy.settings import Settings, parse_settings
from simulator import Cluster, Plan, Tenant, endpoints, running
from tasks.http import mimir_client
from tasks.promql import collect_promql
from tasks.promql_pair import Pair
from tasks.scrape import scrape

MINUTES = 10  # that pass in the cluster between two looks
PROCESSES = len(endpoints(1))
# Prometheus moves the time of a scrape by as much to keep its intervals even.
STAMPED_LATER = timedelta(milliseconds=10)

# What both sources must tell, and within 2 %. The cluster stands still while it is looked at, so
# what is only of the moment, as the queue is, is held to it too; there is no exception.
TOLD = {
    signals.INGESTION_RATE,
    signals.INGESTION_BURST_SIZE,
    signals.REQUEST_RATE,
    signals.REQUEST_BURST_SIZE,
    signals.SAMPLES_RECEIVED,
    signals.SAMPLES_ASKED,
    signals.REQUESTS_ASKED,
    signals.SAMPLES_PER_REQUEST,
    signals.DISCARDED_RATE_LIMITED,
    signals.SERIES,
    signals.ACTIVE_SERIES,
    signals.SERIES_FULLEST_SHARE,
    signals.SERIES_CREATED_RATE,
    signals.QUERIES,
    signals.QUERY_SECONDS,
    signals.FETCHED_SERIES,
    signals.FETCHED_CHUNKS,
    signals.FETCHED_CHUNK_BYTES,
    signals.QUERY_QUEUE_LENGTH,
    "max_global_metadata_per_user",
    "max_global_exemplars_per_user",
    "ruler_max_rule_groups_per_tenant",
    "ruler_max_rules_per_rule_group",
    "alertmanager_max_alerts_count",
    "alertmanager_max_alerts_size_bytes",
    "alertmanager_max_silences_count",
    "alertmanager_notification_rate_limit",
}


@dataclass
class Time:
    """The cluster's own time, which stands still until the test lets it pass."""

    now: float

    def __call__(self) -> float:
        return self.now


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
def cluster_time() -> Time:
    return Time(time.time() - 600)


@pytest.fixture(scope="module")
def pods(cluster_time: Time, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Pod]]:
    """The processes of a simulated cluster that has lived for ten minutes."""
    file = tmp_path_factory.mktemp("mimir") / "runtime.json"
    free = {"ingestion_rate": 1e9, "ingestion_burst_size": 1_000_000_000}
    file.write_text(json.dumps({"overrides": {t.name: free for t in TENANTS} | LIMITS}))
    plan = Plan(tenants=TENANTS, runtime_files=[file], blast_after_seconds=1e9)
    cluster = Cluster(plan, clock=cluster_time)
    cluster_time.now += 600
    with running(cluster) as server:
        urls = endpoints(server.server_address[1])
        yield [Pod(name=url.rpartition("/")[2], url=url) for url in urls]


@pytest.fixture(scope="module")
def settings(
    start_prometheus: Callable[..., AbstractContextManager[str]], pods: list[Pod]
) -> Iterator[Settings]:
    """Settings that name a Prometheus that scrapes every process each second."""
    with start_prometheus({pod.name: pod.url for pod in pods}) as url:
        yield parse_settings(
            {
                "metricsSource": "promql",
                "mimir": {"endpoints": [pod.url for pod in pods]},
                "promql": {"url": url, "delay": "0s", "maxSeriesPerQuery": 60},
            }
        )


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


async def scraped(pods: list[Pod]) -> Scrape:
    """Our own scrape of all processes."""
    async with mimir_client(timeout_seconds=10, headers={}) as client:
        return await scrape(pods, client=client, clock=lambda: datetime.now(UTC))


def at_the_moments_of(theirs: Scrape, *, ours: Scrape) -> Scrape:
    """Our readings as of the moments at which Prometheus read; the cluster stood still between."""
    moments = theirs.readings.group_by("pod").agg(pl.col("at").max())
    readings = ours.readings.drop("at").join(moments, on="pod").select(READINGS.names())
    return replace(ours, at=theirs.at, readings=readings)


async def test_both_sources_give_the_same_demand_on_the_same_minutes(
    settings: Settings, pods: list[Pod], cluster_time: Time
) -> None:
    """
    Ten minutes of the cluster, seen by Prometheus and by ourselves: each tenant's every signal
    agrees within 2 %.
    """
    began = datetime.now(UTC)
    first = (await pair_of_all(settings, since=began)).current
    own_first = await scraped(pods)
    cluster_time.now += MINUTES * 60
    moved_on = datetime.now(UTC) + STAMPED_LATER
    pair = await pair_of_all(settings, since=moved_on)
    own = await scraped(pods)
    before = pair.since(first)

    through_promql = demand(pair.current, before)
    ourselves = demand(
        at_the_moments_of(pair.current, ours=own), at_the_moments_of(before, ours=own_first)
    )

    assert before.readings["at"].is_between(began, moved_on).all()
    assert pair.current.readings["at"].is_between(moved_on, datetime.now(UTC)).all()
    both = through_promql.join(ourselves, on=["tenant", "signal"], how="full", suffix="_own")
    assert both.null_count().sum_horizontal().item() == 0
    assert set(both["tenant"]) >= {one.name for one in TENANTS}
    assert set(both["signal"]) == TOLD
    assert both.filter(pl.col("coverage") != 1).is_empty()
    apart = (pl.col("value") - pl.col("value_own")).abs() > pl.col("value_own") * 0.02
    assert both.filter(apart).select("tenant", "signal", "value", "value_own").rows() == []
    moved = both.filter(pl.col("value") > 0)["signal"].unique()
    # Whether a queue holds anything at the moment of the look is chance, and whether new series
    # come depends on the hour of the day.
    by_chance = {signals.QUERY_QUEUE_LENGTH, signals.SERIES_CREATED_RATE}
    assert {*moved, *by_chance} == TOLD, "a signal of zeros agrees with anything"


async def test_the_doctor_finds_a_real_prometheus_well(settings: Settings) -> None:
    await pair_of_all(settings)

    checks = await check_promql(settings)

    assert [check for check in checks if check.outcome != "ok"] == []
    assert {check.name for check in checks} >= {"promql pods", "promql rates"}


async def test_the_doctor_names_a_family_that_prometheus_does_not_keep(
    start_prometheus: Callable[..., AbstractContextManager[str]],
    settings: Settings,
    pods: list[Pod],
) -> None:
    targets = {pod.name: pod.url for pod in pods}
    with start_prometheus(targets, dropped=[SERIES_REMOVED]) as url:
        promql = settings.promql.model_copy(update={"url": url})
        lacking = settings.model_copy(update={"promql": promql})
        pair = await pair_of_all(lacking)

        checks = await check_promql(lacking)

    told = {check.name: check for check in checks}
    assert told["promql families"].outcome == "warning"
    assert SERIES_REMOVED in told["promql families"].found
    measured = set(demand(pair.current, pair.previous)["signal"])
    assert signals.SERIES not in measured
    assert signals.ACTIVE_SERIES in measured


async def test_what_is_read_of_prometheus_has_every_family_of_ours_that_the_pages_have(
    settings: Settings, pods: list[Pod]
) -> None:
    pair = await pair_of_all(settings)
    own = await scraped(pods)

    keys = ("pod", "family", "user", "reason", "limit", "limit_name", "sha256")
    through_promql, ourselves = (
        set(one.readings.select(keys).unique().rows()) for one in (pair.current, own)
    )
    assert through_promql == ourselves
    assert {row[1] for row in ourselves} <= FAMILIES
