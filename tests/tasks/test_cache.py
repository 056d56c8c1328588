"""What is kept instead of being asked for again, and for how long."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from policy.errors import ConfigError
from policy.settings.performance import Cache, Performance, Redis
from tasks.cache import MemoryCache, cache_of, lookups
from tasks.http import mimir_client
from tasks.redis_cache import REST_SECONDS, RedisCache

CONFIG = "http://mimir:8080/config"


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Mimir:
    """Counts what it is asked, and answers each time with another text."""

    def __init__(self, status: int = 200) -> None:
        self.asked: list[httpx.Request] = []
        self.status = status

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return httpx.Response(self.status, text=f"answer {len(self.asked)}")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Each test begins with an empty cache of the process."""
    cache_of.cache_clear()
    yield
    cache_of.cache_clear()


def client(mimir: Mimir, performance: Performance, **headers: str) -> httpx.AsyncClient:
    return mimir_client(
        timeout_seconds=1,
        headers={name.replace("_", "-"): SecretStr(value) for name, value in headers.items()},
        performance=performance,
        transport=httpx.MockTransport(mimir),
    )


async def test_a_slow_answer_is_asked_for_once_by_all_clients() -> None:
    mimir = Mimir()
    before = lookups()

    async with client(mimir, Performance()) as first:
        told = await first.get(CONFIG)
    async with client(mimir, Performance()) as second:
        again = await second.get(CONFIG)

    assert len(mimir.asked) == 1
    assert again.text == told.text
    assert again.is_success
    assert lookups()["hit"] - before["hit"] == 1
    assert lookups()["miss"] - before["miss"] == 1


@pytest.mark.parametrize(
    "off", [Performance(enabled=False), Performance(cache=Cache(enabled=False))]
)
async def test_without_a_cache_everything_is_asked_each_time(off: Performance) -> None:
    mimir = Mimir()

    async with client(mimir, off) as asking:
        answers = [(await asking.get(CONFIG)).text for _ in range(2)]

    assert answers == ["answer 1", "answer 2"]


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/runtime_config?mode=diff", "/api/v1/user_limits", "/api/v1/status/buildinfo"],
)
async def test_what_proves_or_plans_a_publication_is_never_kept(path: str) -> None:
    mimir = Mimir()

    async with client(mimir, Performance()) as asking:
        for _ in range(2):
            await asking.get(f"http://mimir:8080{path}")

    assert len(mimir.asked) == 2


async def test_a_failure_is_not_kept() -> None:
    mimir = Mimir(status=503)

    async with client(mimir, Performance()) as asking:
        for _ in range(2):
            await asking.get(CONFIG)

    assert len(mimir.asked) == 2


async def test_the_answer_to_one_tenant_is_not_told_to_another() -> None:
    mimir = Mimir()
    url = "http://mimir/prometheus/api/v1/cardinality/label_values"

    async with client(mimir, Performance(), X_Scope_OrgID="a") as one:
        told = await one.get(url)
    async with client(mimir, Performance(), X_Scope_OrgID="b") as other:
        told_other = await other.get(url)

    assert told.text != told_other.text


async def test_what_is_kept_is_gone_after_its_time() -> None:
    clock = Clock()
    cache = MemoryCache(size_bytes=100, ttl_seconds=60, clock=clock)
    await cache.put("key", b"text")

    clock.now += 59
    kept = await cache.get("key")
    clock.now += 1

    assert kept == b"text"
    assert await cache.get("key") is None


async def test_what_was_not_used_for_longest_makes_room() -> None:
    cache = MemoryCache(size_bytes=10, ttl_seconds=60)
    await cache.put("a", b"aaaa")
    await cache.put("b", b"bbbb")
    await cache.get("a")

    await cache.put("c", b"cccc")

    assert [await cache.get(key) for key in "abc"] == [b"aaaa", None, b"cccc"]


async def test_what_is_bigger_than_the_cache_is_not_kept_and_drives_nothing_out() -> None:
    cache = MemoryCache(size_bytes=10, ttl_seconds=60)
    await cache.put("a", b"aaaa")

    await cache.put("big", b"b" * 11)

    assert await cache.get("big") is None
    assert await cache.get("a") == b"aaaa"


@pytest.fixture
def redis_url(tmp_path: Path, debian_tool: Callable[[str, str], str]) -> Iterator[str]:
    program = debian_tool("redis-server", "redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", "hunter2"]
    with subprocess.Popen(
        [program, *options, "--dir", str(tmp_path)], stdout=subprocess.DEVNULL
    ) as server:
        try:
            _answering(port)
            yield f"redis://:hunter2@127.0.0.1:{port}/0"
        finally:
            server.terminate()


def _answering(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    pytest.fail("redis-server does not listen")


def in_redis(url: str) -> Performance:
    return Performance(cache=Cache(type="redis", redis=Redis(url=SecretStr(url))))


async def test_redis_keeps_answers_beyond_the_life_of_the_process(redis_url: str) -> None:
    mimir = Mimir()
    async with client(mimir, in_redis(redis_url)) as asking:
        told = await asking.get(CONFIG)
    cache_of.cache_clear()  # what a process forgets when it ends

    async with client(mimir, in_redis(redis_url)) as asking:
        again = await asking.get(CONFIG)

    assert len(mimir.asked) == 1
    assert again.text == told.text


async def test_redis_forgets_after_the_time(redis_url: str) -> None:
    """
    Redis keeps the time by itself: there is no clock to set, so the time is a short one.
    """
    cache = RedisCache(redis_url, size_bytes=100, ttl_seconds=0.001)
    await cache.put("key", b"text")
    await asyncio.sleep(0.05)

    assert await cache.get("key") is None


async def test_a_redis_that_is_down_is_told_once_and_not_asked_for_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    cache = RedisCache(
        "redis://:hunter2@127.0.0.1:1/0", size_bytes=100, ttl_seconds=60, clock=clock
    )
    before = lookups()

    with caplog.at_level(logging.WARNING):
        await cache.put("key", b"text")
        found = await cache.get("key")
        clock.now += REST_SECONDS
        found_later = await cache.get("key")

    assert (found, found_later) == (None, None)
    assert len(caplog.records) == 1
    assert "going on without" in caplog.text
    assert "hunter2" not in caplog.text
    assert lookups()["unavailable"] - before["unavailable"] == 2


async def test_a_redis_that_is_down_fails_no_look_at_mimir() -> None:
    mimir = Mimir()

    async with client(mimir, in_redis("redis://127.0.0.1:1/0")) as asking:
        answer = await asking.get(CONFIG)

    assert answer.text == "answer 1"


def test_an_address_that_is_none_is_an_error_without_its_password() -> None:
    settings = Cache(type="redis", redis=Redis(url=SecretStr("http://:hunter2@redis:x")))

    with pytest.raises(ConfigError, match=r"performance\.cache\.redis\.url") as raised:
        cache_of(settings)

    assert "hunter2" not in str(raised.value)


def test_settings_that_stay_the_same_keep_their_cache() -> None:
    kept = cache_of(Cache(ttl=timedelta(minutes=1)))

    assert cache_of(Cache(ttl=timedelta(minutes=1))) is kept
    assert cache_of(Cache(ttl=timedelta(minutes=2))) is not kept
