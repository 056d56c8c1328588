"""Reading every pod's metrics page at once."""

from __future__ import annotations

import asyncio
import gzip
import pickle
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from polars.testing import assert_frame_equal
from pydantic import SecretStr

from policy.frames import READINGS
from policy.scrape import Pod, Scrape
from policy.settings.performance import BatchProcessing
from tasks.http import mimir_client
from tasks.scrape import scrape
from tasks.scrape_parts import Sent, joined

AS_USUAL = BatchProcessing()
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAGE = b'cortex_ingester_active_series{user="a"} 5\n'
CAPTURED = (
    Path(__file__).parent.parent / "fixtures" / "metrics" / "mimir-all-10-tenants.prom.gz"
).read_bytes()

Handler = (
    Callable[[httpx.Request], httpx.Response]
    | Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]
)


def ticking() -> Callable[[], datetime]:
    """A clock that advances a second each time it is read."""
    ticks: Iterator[int] = iter(range(1000))
    return lambda: NOON + timedelta(seconds=next(ticks))


async def scraped(
    handler: Handler, *pods: str, batching: BatchProcessing = AS_USUAL, timeout_seconds: float = 5.0
) -> Scrape:
    async with mimir_client(
        timeout_seconds=1, headers={}, transport=httpx.MockTransport(handler)
    ) as client:
        return await scrape(
            [Pod(name=pod, url=pod) for pod in pods],
            client=client,
            clock=ticking(),
            batching=batching,
            timeout_seconds=timeout_seconds,
        )


async def test_each_pods_readings_carry_its_base_url_and_the_moment_of_its_answer() -> None:
    found = await scraped(lambda _: httpx.Response(200, content=PAGE), "http://x:1", "http://y:1")

    assert found.answered == ("http://x:1", "http://y:1")
    assert found.coverage == 1.0
    assert found.readings.schema == READINGS
    assert found.at == NOON
    assert sorted(found.readings.select("pod", "at", "user", "value").rows()) == [
        ("http://x:1", NOON + timedelta(seconds=1), "a", 5.0),
        ("http://y:1", NOON + timedelta(seconds=2), "a", 5.0),
    ]


async def test_the_metrics_page_is_asked_for_packed_and_as_text() -> None:
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=CAPTURED, headers={"Content-Encoding": "gzip"})

    found = await scraped(handler, "http://x:1/prefix/")

    assert str(asked[0].url) == "http://x:1/prefix/metrics"
    assert asked[0].headers["Accept-Encoding"] == "gzip"
    assert asked[0].headers["Accept"].startswith("text/plain")
    tenants = found.readings.get_column("user").drop_nulls().unique()
    assert len(tenants) == 12


async def test_how_far_a_pods_clock_is_ahead_is_told_by_its_date() -> None:
    """The answers begin one and two seconds after noon; a Date that is none tells nothing."""
    dates = {
        "http://x:1": "Sun, 01 Mar 2026 12:01:01 GMT",
        "http://y:1": "noon",
    }

    def handler(request: httpx.Request) -> httpx.Response:
        date = dates.get(f"http://{request.url.netloc.decode()}")
        return httpx.Response(200, content=PAGE, headers={"Date": date} if date else {})

    found = await scraped(handler, "http://x:1", "http://y:1", "http://z:1")

    assert found.ahead == {"http://x:1": 60.0}
    assert found.coverage == 1.0


def refuse(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused", request=request)


def too_slow(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("", request=request)


BAD: dict[str, tuple[Callable[[httpx.Request], httpx.Response], str]] = {
    "unreachable": (refuse, "connection refused"),
    "slow": (too_slow, "did not answer in time"),
    "truncated": (lambda _: httpx.Response(200, content=PAGE[:-1]), "cut short"),
    "other-program": (
        lambda _: httpx.Response(200, content=b"node_load1 0.5\n"),
        "no Mimir or Cortex metric",
    ),
    "html": (lambda _: httpx.Response(200, html="<html>login</html>\n"), "HTML"),
    "not-gzip": (
        lambda _: httpx.Response(200, content=PAGE, headers={"Content-Encoding": "gzip"}),
        "could not be read",
    ),
    "401": (lambda _: httpx.Response(401), "credentials are missing"),
    "404": (lambda _: httpx.Response(404), "nothing is served there"),
    "429": (lambda _: httpx.Response(429), "overloaded"),
    "500": (lambda _: httpx.Response(500), "try again later"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_a_pod_that_fails_is_told_in_one_line_and_does_not_fail_the_others(kind: str) -> None:
    bad, says = BAD[kind]

    def handler(request: httpx.Request) -> httpx.Response:
        answer = bad if request.url.host == "bad" else (lambda _: httpx.Response(200, content=PAGE))
        return answer(request)

    found = await scraped(handler, "http://good:1", "http://bad:1", "http://fine:1")

    assert found.answered == ("http://good:1", "http://fine:1")
    assert set(found.failed) == {"http://bad:1"}
    assert says in found.failed["http://bad:1"]
    assert "\n" not in found.failed["http://bad:1"]
    assert found.coverage == pytest.approx(2 / 3)


async def test_a_page_that_drips_is_given_up_after_the_time_for_a_page() -> None:
    """
    Each read in time is not enough: the page as a whole has to arrive.
    """

    async def handler(request: httpx.Request) -> httpx.Response:
        if request.url.host == "slow":
            await asyncio.Event().wait()
        return httpx.Response(200, content=PAGE)

    found = await scraped(handler, "http://slow:1", "http://good:1", timeout_seconds=0.05)

    assert found.answered == ("http://good:1",)
    assert found.failed == {"http://slow:1": "http://slow:1 gave no whole page within 0.05 s"}


async def test_when_every_pod_fails_the_scrape_says_so_and_has_no_readings() -> None:
    found = await scraped(refuse, "http://x:1", "http://y:1")

    assert found.coverage == 0.0
    assert set(found.failed) == {"http://x:1", "http://y:1"}
    assert found.readings.is_empty()
    assert found.readings.schema == READINGS


async def test_without_pods_nothing_is_covered() -> None:
    found = await scraped(refuse)

    assert found.coverage == 0.0


async def test_no_more_pods_are_read_at_once_than_asked_for() -> None:
    running = 0
    most = 0

    async def handler(_: httpx.Request) -> httpx.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return httpx.Response(200, content=PAGE)

    found = await scraped(
        handler, *(f"http://p{n}:1" for n in range(12)), batching=BatchProcessing(max_concurrent=3)
    )

    assert len(found.answered) == 12
    assert most == 3


async def test_a_pod_given_twice_is_read_once() -> None:
    found = await scraped(lambda _: httpx.Response(200, content=PAGE), "http://x:1", "http://x:1")

    assert found.answered == ("http://x:1",)
    assert found.readings.height == 1


async def test_a_real_server_is_read_packed_over_a_socket() -> None:
    packed = gzip.compress(PAGE)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode() + packed)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with mimir_client(timeout_seconds=2, headers={"X-Scope-OrgID": SecretStr("a")}) as it:
            pod = Pod(name="mimir-0", url=f"http://127.0.0.1:{port}")
            found = await scrape([pod], client=it, clock=ticking())

    assert found.readings.get_column("value").to_list() == [5.0]


def of_pods(request: httpx.Request) -> httpx.Response:
    """Each pod has a number of its own; one has no row, one is away."""
    port = request.url.port or 0
    if port == AWAY:
        return httpx.Response(503)
    page = b"cortex_other 1\n" if port == NO_ROW else PAGE.replace(b"5", str(port).encode())
    return httpx.Response(200, content=page)


PORTS = (1, 2, 3, 4, 5)
NO_ROW, AWAY = 3, 4


async def test_the_parts_of_a_scrape_are_joined_to_what_one_process_would_have_seen() -> None:
    urls = [f"http://x:{port}" for port in PORTS]
    pods = [Pod(name=url, url=url) for url in urls]
    whole = await scraped(of_pods, *urls)

    parts = [Sent.of(await scraped(of_pods, *urls[first::2])) for first in range(2)]
    found = joined(pickle.loads(pickle.dumps(parts)), pods=pods, lost={}, at=NOON)

    assert (found.at, found.answered, found.failed) == (NOON, whole.answered, whole.failed)
    assert found.addresses == whole.addresses
    assert_frame_equal(found.readings.drop("at"), whole.readings.drop("at"))


async def test_the_pods_of_a_part_that_was_lost_have_not_answered() -> None:
    """Less was seen, and that is told: what a pod did not say is never zero."""
    urls = [f"http://x:{port}" for port in PORTS]
    pods = [Pod(name=url, url=url) for url in urls]

    part = Sent.of(await scraped(of_pods, *urls[::2]))
    found = joined([part], pods=pods, lost=dict.fromkeys(urls[1::2], "the worker died"), at=NOON)

    assert found.answered == ("http://x:1", "http://x:3", "http://x:5")
    assert found.failed == {"http://x:2": "the worker died", "http://x:4": "the worker died"}
    assert found.coverage == 0.6
    assert found.readings["value"].to_list() == [1.0, 5.0]
