"""Looking at Mimir: one process that fails leaves the others, none at all is an error."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from policy.errors import ConfigError
from policy.settings import Settings, parse_settings
from tasks.answers import every_answer, first_answer
from tasks.collect import collect, read_limits
from tasks.http import MimirUnavailable
from tasks.versions import forget

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PODS = ("http://mimir-0", "http://mimir-1", "http://mimir-2")


def mimir() -> Settings:
    return parse_settings({"mimir": {"endpoints": list(PODS)}})


class Cluster:
    """Answers by host and path; what it does not know is 503."""

    def __init__(self) -> None:
        self.pages: dict[tuple[str, str], str] = {}

    def says(self, path: str, text: str, *, pods: tuple[str, ...] = PODS) -> None:
        for pod in pods:
            self.pages[httpx.URL(pod).host, path] = text

    def answer(self, request: httpx.Request) -> httpx.Response:
        page = self.pages.get((request.url.host, request.url.path))
        return httpx.Response(503) if page is None else httpx.Response(200, text=page)


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    forget()
    yield
    forget()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    transport = httpx.MockTransport(made.answer)
    monkeypatch.setattr(
        "tasks.collect.client_of", lambda *_, **__: httpx.AsyncClient(transport=transport)
    )
    return made


async def test_a_process_that_fails_leaves_the_others(cluster: Cluster) -> None:
    page = "cortex_distributor_replication_factor 3\n"
    cluster.says("/metrics", page, pods=PODS[1:])

    seen = await collect(mimir(), clock=lambda: NOON)

    assert seen.answered == PODS[1:]
    assert list(seen.failed) == [PODS[0]]


async def test_no_process_at_all_is_an_error_that_names_one(cluster: Cluster) -> None:
    assert cluster.pages == {}

    with pytest.raises(
        MimirUnavailable, match=r"none of 3 Mimir processes answered \(http://mimir-"
    ):
        await collect(mimir(), clock=lambda: NOON)


async def test_limits_are_read_from_the_first_process_that_tells(cluster: Cluster) -> None:
    cluster.says("/runtime_config", "overrides: {a: {ingestion_rate: 5}}", pods=PODS[1:])
    cluster.says("/config", "limits: {ingestion_rate: 10000}", pods=PODS[2:])
    cluster.says("/api/v1/status/buildinfo", '{"data": {"version": "3.0.3"}}')

    loaded = await read_limits(mimir(), clock=lambda: NOON)

    assert loaded.overrides.rows() == [("a", "ingestion_rate", 5.0)]
    assert loaded.defaults.rows() == [("", "ingestion_rate", 10_000.0)]


async def test_every_version_that_runs_is_told(cluster: Cluster) -> None:
    """In the middle of an upgrade the oldest process decides what may be written."""
    cluster.says("/runtime_config", "{}")
    cluster.says("/config", "limits: {ingestion_rate: 10000}")
    cluster.says("/api/v1/status/buildinfo", '{"data": {"version": "3.1.0"}}', pods=PODS[:1])
    cluster.says("/api/v1/status/buildinfo", '{"data": {"version": "2.12.0"}}', pods=PODS[1:2])

    loaded = await read_limits(mimir(), clock=lambda: NOON)

    assert loaded.versions == {"3.1.0", "2.12.0"}


@pytest.mark.parametrize(
    ("away", "versions"),
    [
        pytest.param(timedelta(minutes=55), {"3.1.0", "2.12.0"}, id="a while"),
        pytest.param(timedelta(minutes=65), {"3.1.0"}, id="too long"),
    ],
)
async def test_the_version_of_a_process_that_is_away_for_a_while_still_counts(
    cluster: Cluster, away: timedelta, versions: set[str]
) -> None:
    """A name that it does not know would stop its whole runtime file when it is back."""
    cluster.says("/runtime_config", "{}")
    cluster.says("/config", "limits: {ingestion_rate: 10000}")
    cluster.says("/api/v1/status/buildinfo", '{"data": {"version": "3.1.0"}}', pods=PODS[:2])
    cluster.says("/api/v1/status/buildinfo", '{"data": {"version": "2.12.0"}}', pods=PODS[2:])
    await read_limits(mimir(), clock=lambda: NOON)
    cluster.pages.pop((httpx.URL(PODS[2]).host, "/api/v1/status/buildinfo"))

    loaded = await read_limits(mimir(), clock=lambda: NOON + away)

    assert loaded.versions == versions


async def test_a_process_that_is_not_known_any_more_has_no_version(cluster: Cluster) -> None:
    cluster.says("/runtime_config", "{}")
    cluster.says("/config", "limits: {ingestion_rate: 10000}")
    cluster.says("/api/v1/status/buildinfo", '{"data": {"version": "3.1.0"}}', pods=PODS[:2])
    cluster.says("/api/v1/status/buildinfo", '{"data": {"version": "2.12.0"}}', pods=PODS[2:])
    await read_limits(mimir(), clock=lambda: NOON)
    fewer = parse_settings({"mimir": {"endpoints": list(PODS[:2])}})

    loaded = await read_limits(fewer, clock=lambda: NOON)

    assert loaded.versions == {"3.1.0"}


async def refuse(url: str) -> str:
    raise ConfigError(f"{url} refuses")


async def test_without_any_answer_the_error_of_the_last_one_is_told() -> None:
    with pytest.raises(ConfigError, match="http://mimir-2 refuses"):
        await first_answer(PODS, refuse)


async def test_without_any_answer_of_many_the_error_of_the_first_one_is_told() -> None:
    with pytest.raises(ConfigError, match="http://mimir-0 refuses"):
        await every_answer(PODS, refuse)
