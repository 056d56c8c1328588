"""Each key of `performance` changes what is sent, opened or read."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import MutableMapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Self

import httpx
import pytest
import zstandard

from policy.scrape import Pod
from policy.settings.performance import (
    BatchProcessing,
    Compression,
    ConnectionPool,
    Performance,
)
from policy.settings.promql import Promql
from tasks import scrape as scraping
from tasks.exposition_known import KnownPage
from tasks.http import mimir_client
from tasks.promql_http import promql_client
from tasks.scrape import scrape

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAGE = b'cortex_ingester_active_series{user="a"} 5\n'


@pytest.mark.parametrize(
    ("performance", "asked"),
    [
        (Performance(), "gzip"),
        (Performance(compression=Compression(algorithm="zstd")), "zstd, gzip;q=0.5"),
        (Performance(compression=Compression(algorithm="lz4")), "gzip"),
        (Performance(compression=Compression(algorithm="snappy")), "gzip"),
        (Performance(compression=Compression(enabled=False)), "identity"),
        (Performance(enabled=False, compression=Compression(enabled=False)), "gzip"),
    ],
    ids=["gzip", "zstd", "lz4", "snappy", "off", "all off"],
)
def test_answers_are_asked_for_packed_as_the_settings_say(
    performance: Performance, asked: str
) -> None:
    client = mimir_client(timeout_seconds=1, headers={}, performance=performance)
    promql = promql_client(Promql(), performance=performance)

    assert client.headers["Accept-Encoding"] == asked
    assert promql.headers["Accept-Encoding"] == asked


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", gzip.compress(PAGE)), ("zstd", zstandard.compress(PAGE)), ("identity", PAGE)],
    ids=["gzip", "zstd", "identity"],
)
async def test_a_page_is_read_however_the_server_packs_it(encoding: str, body: bytes) -> None:
    async with Server(body, encoding=encoding) as server, client_with(Performance()) as client:
        found = await scrape(server.pods(1), client=client, clock=lambda: NOON)

    assert found.readings.get_column("value").to_list() == [5.0]


@pytest.mark.parametrize(
    ("pool", "opened"),
    [
        (ConnectionPool(), 1),
        (ConnectionPool(max_keepalive=0), 3),
        (ConnectionPool(keep_alive=timedelta(microseconds=1)), 3),
    ],
    ids=["kept", "none kept", "not kept long"],
)
async def test_connections_are_kept_as_the_settings_say(pool: ConnectionPool, opened: int) -> None:
    async with (
        Server(PAGE) as server,
        client_with(Performance(connection_pool=pool)) as client,
    ):
        for _ in range(3):
            await client.get(f"{server.url}/metrics")

    assert server.connections == opened


async def test_connections_to_promql_are_kept_as_the_settings_say() -> None:
    kept = Performance()
    not_kept = Performance(connection_pool=ConnectionPool(max_keepalive=0))
    opened = []
    for performance in (kept, not_kept):
        async with (
            Server(PAGE) as server,
            promql_client(Promql(url=server.url), performance=performance) as client,
        ):
            for _ in range(3):
                await client.post(f"{server.url}/api/v1/query")
        opened.append(server.connections)

    assert opened == [1, 3]


async def test_no_more_connections_are_open_than_the_settings_say() -> None:
    pool = ConnectionPool(max_connections=2)
    async with (
        Server(PAGE) as server,
        client_with(Performance(connection_pool=pool)) as client,
    ):
        await asyncio.gather(*(client.get(f"{server.url}/metrics") for _ in range(8)))

    assert server.most_open <= 2


async def batches(
    pods: int, batching: BatchProcessing, monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    """How many pages were read in each go."""
    sizes: list[int] = []
    really = scraping._readings

    def counted(
        batch: Sequence[scraping._Page], known: MutableMapping[str, KnownPage] | None
    ) -> object:
        sizes.append(len(batch))
        return really(batch, known)

    monkeypatch.setattr(scraping, "_readings", counted)
    answer = httpx.MockTransport(lambda _: httpx.Response(200, content=PAGE))
    async with mimir_client(timeout_seconds=1, headers={}, transport=answer) as client:
        names = [f"http://p{number}:1" for number in range(pods)]
        await scrape(
            [Pod(name=name, url=name) for name in names],
            client=client,
            clock=lambda: NOON,
            batching=batching,
        )
    return sizes


async def test_so_many_pages_are_read_in_one_go_as_the_settings_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await batches(7, BatchProcessing(size=3), monkeypatch) == [3, 3, 1]


async def test_what_is_switched_off_is_as_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    off = BatchProcessing(enabled=False, size=3)

    assert await batches(7, off, monkeypatch) == [7]


async def test_nobody_is_asked_while_too_much_waits_to_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Ten requests at once are allowed, but the first pages fill the room for pages that wait.
    """
    monkeypatch.setattr(scraping, "HELD_BYTES", 2 * len(PAGE))
    monkeypatch.setattr(scraping, "READ_AT_ONCE_BYTES", 2 * len(PAGE))
    held = 0
    most_held = 0
    really = scraping._readings

    def handler(_: httpx.Request) -> httpx.Response:
        nonlocal held, most_held
        held += 1
        most_held = max(most_held, held)
        return httpx.Response(200, content=PAGE)

    def counted(
        batch: Sequence[scraping._Page], known: MutableMapping[str, KnownPage] | None
    ) -> object:
        nonlocal held
        held -= len(batch)
        return really(batch, known)

    monkeypatch.setattr(scraping, "_readings", counted)
    async with mimir_client(
        timeout_seconds=1, headers={}, transport=httpx.MockTransport(handler)
    ) as client:
        found = await scrape(
            [Pod(name=f"p{number}", url=f"http://p{number}:1") for number in range(30)],
            client=client,
            clock=lambda: NOON,
            batching=BatchProcessing(max_concurrent=2),
        )

    assert len(found.answered) == 30
    assert most_held <= 4  # two that wait, and two that were under way


def client_with(performance: Performance) -> httpx.AsyncClient:
    return mimir_client(timeout_seconds=2, headers={}, performance=performance)


class Server:
    """Answers every request on a socket with one body, and counts its connections."""

    def __init__(self, body: bytes, *, encoding: str = "identity") -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}"
        self._answer = f"{head}\r\n\r\n".encode() + body
        self.connections = 0
        self._open = 0
        self.most_open = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def pods(self, count: int) -> list[Pod]:
        return [Pod(name=f"p{number}", url=self.url) for number in range(count)]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(self._answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open -= 1
            writer.close()
