"""Read the metrics page of every pod at once.

Pods are read one by one, never through a Service: a Service answers with one random pod. A pod
that fails is reported and never fails the others; whether enough of them answered is for the
caller to judge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx
import polars as pl

from policy.errors import OptimizerError
from policy.frames import READINGS, empty
from policy.scrape import FAMILIES, Scrape
from tasks.exposition import read_pages
from tasks.http import check, failure, shown

READ_AT_ONCE_BYTES: Final = 8 * 2**20

_TEXT: Final = {"Accept": "text/plain;version=0.0.4;q=1,*/*;q=0.1"}


async def scrape(
    endpoints: Sequence[str],
    *,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    concurrency: int = 20,
    timeout_seconds: float = 10.0,
) -> Scrape:
    """Read FAMILIES from `/metrics` of every pod.

    Args:
        endpoints: base URLs, one per pod; the base URL is the pod's name, so it carries no
            credentials: those are the client's. Ones given twice are read once.
        client: the client of tasks.http.
        clock: the time now, aware UTC.
        concurrency: most pods read at once.
        timeout_seconds: longest time for one pod's whole page, waiting for its turn excluded.

    Returns:
        The scrape. Pods that failed are in `failed`, all of them if need be.
    """
    began = clock()
    pods = tuple(dict.fromkeys(endpoints))
    failed: dict[str, str] = {}
    readings = [empty(READINGS)]
    turns = asyncio.Semaphore(concurrency)

    async def one(pod: str) -> _Page | None:
        async with turns:
            try:
                async with asyncio.timeout(timeout_seconds):
                    return await _page(pod, client=client, clock=clock)
            except TimeoutError:
                url = shown(httpx.URL(pod))
                failed[pod] = f"{url} gave no whole page within {timeout_seconds:g} s"
            except OptimizerError as error:
                failed[pod] = " ".join(str(error).split())
            return None

    async def read(batch: Sequence[_Page]) -> None:
        rows, refused = await asyncio.to_thread(_readings, batch)
        readings.append(rows)
        failed.update(refused)

    batch: list[_Page] = []
    for answer in asyncio.as_completed(map(one, pods)):
        if page := await answer:
            batch.append(page)
        if sum(len(page.body) for page in batch) >= READ_AT_ONCE_BYTES:
            await read(batch)
            batch = []
    await read(batch)
    return Scrape(
        at=began,
        readings=pl.concat(readings),
        answered=tuple(pod for pod in pods if pod not in failed),
        failed={pod: failed[pod] for pod in pods if pod in failed},
    )


@dataclass(frozen=True, slots=True)
class _Page:
    """The page of one pod and the moment its answer began."""

    pod: str
    body: bytes
    at: datetime


async def _page(pod: str, *, client: httpx.AsyncClient, clock: Callable[[], datetime]) -> _Page:
    url = f"{pod.rstrip('/')}/metrics"
    try:
        async with client.stream("GET", url, headers=_TEXT) as response:
            at = clock()
            check(response)
            return _Page(pod, await response.aread(), at)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise failure(error, url=url) from error


def _readings(batch: Sequence[_Page]) -> tuple[pl.DataFrame, Mapping[str, str]]:
    """READINGS of the pages, and why some of them have none."""
    pages = read_pages({page.pod: page.body for page in batch}, families=FAMILIES)
    moments = pl.DataFrame(
        {"pod": [page.pod for page in batch], "at": [page.at for page in batch]},
        schema={"pod": READINGS["pod"], "at": READINGS["at"]},
    )
    return pages.rows.join(moments, on="pod").select(READINGS.names()), pages.refused
