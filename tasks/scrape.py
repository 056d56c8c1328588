"""Read the metrics page of every pod at once.

Pods are read one by one, never through a Service: a Service answers with one random pod. A pod
that fails is reported and never fails the others; whether enough of them answered is for the
caller to judge.

Pages stay packed until they are read, a batch at a time, and no page is asked for while too many
wait: memory is bounded by the largest pages that are under way, not by how many pods there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx
import polars as pl

from policy.errors import OptimizerError
from policy.frames import READINGS, empty
from policy.scrape import FAMILIES, Pod, Scrape
from policy.settings.performance import BatchProcessing
from tasks.exposition import UnreadablePage, read_pages
from tasks.exposition_known import KnownPage
from tasks.http import ahead_seconds, check, failure, shown
from tasks.packing import Packed, packed, text_size, unpacked

READ_AT_ONCE_BYTES: Final = 8 * 2**20  # of text
HELD_BYTES: Final = 64 * 2**20  # of pages as they came that may wait until they are read

_AS_USUAL: Final = BatchProcessing()
_TEXT: Final = {"Accept": "text/plain;version=0.0.4;q=1,*/*;q=0.1"}


async def scrape(
    pods: Sequence[Pod],
    *,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    batching: BatchProcessing = _AS_USUAL,
    timeout_seconds: float = 10.0,
    known: MutableMapping[str, KnownPage] | None = None,
) -> Scrape:
    """Read FAMILIES from the metrics page of every pod.

    Args:
        pods: whom to ask; of two with one name, the first. Credentials are the client's.
        client: the client of tasks.http.
        clock: the time now, aware UTC.
        batching: most pods asked at once, and most pages read in one go.
        timeout_seconds: longest time for one pod's whole page, waiting for its turn excluded.
        known: by pod, what its page was like in the scrape before; put there for the next.

    Returns:
        The scrape. Pods that failed are in `failed`, all of them if need be.
    """
    began = clock()
    known = {} if known is None else known
    by_name = {pod.name: pod for pod in reversed(pods)}
    names = tuple(dict.fromkeys(pod.name for pod in pods))
    failed: dict[str, str] = {}
    ahead: dict[str, float] = {}
    readings: dict[str, pl.DataFrame] = {}
    limits = batching if batching.enabled else _AS_USUAL
    waiting = _Waiting(most_requests=limits.max_concurrent)

    async def one(pod: Pod) -> _Page | None:
        async with waiting.turn():
            try:
                async with asyncio.timeout(timeout_seconds):
                    page = await _page(pod, client=client, clock=clock)
            except TimeoutError:
                url = shown(httpx.URL(pod.url))
                failed[pod.name] = f"{url} gave no whole page within {timeout_seconds:g} s"
            except OptimizerError as error:
                failed[pod.name] = " ".join(str(error).split())
            else:
                waiting.took(page)
                if page.ahead is not None:
                    ahead[pod.name] = page.ahead
                return page
            return None

    async def read(batch: Sequence[_Page]) -> None:
        rows, refused = await asyncio.to_thread(_readings, batch, known)
        readings.update(rows)
        failed.update(refused)
        waiting.gave(batch)

    batch: list[_Page] = []
    asked = [asyncio.ensure_future(one(by_name[name])) for name in names]
    for answer in asyncio.as_completed(asked):
        if page := await answer:
            batch.append(page)
        text_bytes = sum(text_size(page.packed) for page in batch)
        if text_bytes >= READ_AT_ONCE_BYTES or len(batch) >= limits.size:
            await read(batch)
            batch = []
    await read(batch)
    _forget(known, but=names)
    return Scrape(
        at=began,
        readings=in_order(readings, names=names),
        answered=tuple(name for name in names if name not in failed),
        failed={name: failed[name] for name in names if name in failed},
        addresses={name: by_name[name].url for name in names},
        ahead=ahead,
    )


def _forget(known: MutableMapping[str, KnownPage], *, but: Sequence[str]) -> None:
    for gone in known.keys() - set(but):
        known.pop(gone, None)


def in_order(readings: Mapping[str, pl.DataFrame], *, names: Sequence[str]) -> pl.DataFrame:
    """READINGS in one order from look to look, whoever answered first: so they can be compared."""
    return pl.concat([empty(READINGS), *(readings[name] for name in names if name in readings)])


@dataclass(frozen=True, slots=True)
class _Page:
    """The page of one pod as it came, when its answer began, and how far its clock is ahead."""

    pod: str
    packed: Packed
    at: datetime
    ahead: float | None


class _Waiting:
    """Who may ask now: so many at once, and nobody while too much waits to be read."""

    def __init__(self, *, most_requests: int) -> None:
        self._turns = asyncio.Semaphore(most_requests)
        self._room = asyncio.Event()
        self._room.set()
        self._held_bytes = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        async with self._turns:
            await self._room.wait()
            yield

    def took(self, page: _Page) -> None:
        self._hold(len(page.packed.body))

    def gave(self, batch: Sequence[_Page]) -> None:
        self._hold(-sum(len(page.packed.body) for page in batch))

    def _hold(self, more_bytes: int) -> None:
        self._held_bytes += more_bytes
        if self._held_bytes < HELD_BYTES:
            self._room.set()
        else:
            self._room.clear()


async def _page(pod: Pod, *, client: httpx.AsyncClient, clock: Callable[[], datetime]) -> _Page:
    url = f"{pod.url.rstrip('/')}{pod.metrics_path}"
    try:
        async with client.stream("GET", url, headers=_TEXT) as response:
            at = clock()
            check(response)
            ahead = ahead_seconds(response, at=at)
            return _Page(pod.name, await packed(response), at, ahead)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise failure(error, url=url) from error


def _readings(
    batch: Sequence[_Page], known: MutableMapping[str, KnownPage]
) -> tuple[Mapping[str, pl.DataFrame], Mapping[str, str]]:
    """READINGS of the pages by pod, and why some of them have none."""
    texts: dict[str, bytes] = {}
    refused: dict[str, str] = {}
    for page in batch:
        try:
            texts[page.pod] = unpacked(page.packed)
        except UnreadablePage as error:
            refused[page.pod] = str(error)
    pages = read_pages(texts, families=FAMILIES, known=known)
    moments = {page.pod: pl.lit(page.at, dtype=READINGS["at"]).alias("at") for page in batch}
    rows = {
        pod: rows.with_columns(moments[pod]).select(READINGS.names())
        for pod, rows in pages.of.items()
    }
    return rows, {**refused, **pages.refused}
