"""Read the metrics page of every pod at once.

Pods are read one by one, never through a Service: a Service answers with one random pod. A pod
that fails is reported and never fails the others; whether enough of them answered is for the
caller to judge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import httpx
import polars as pl

from policy.errors import OptimizerError
from policy.frames import READINGS, UTC_TIME, empty
from policy.scrape import FAMILIES, Scrape
from tasks.exposition import read_page
from tasks.http import check, failure, shown

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
    turns = asyncio.Semaphore(concurrency)

    async def one(pod: str) -> pl.DataFrame | str:
        async with turns:
            try:
                async with asyncio.timeout(timeout_seconds):
                    page, at = await _page(pod, client=client, clock=clock)
                return await asyncio.to_thread(_readings, page, pod=pod, at=at)
            except TimeoutError:
                return f"{shown(httpx.URL(pod))} gave no whole page within {timeout_seconds:g} s"
            except OptimizerError as error:
                return " ".join(str(error).split())

    pods = tuple(dict.fromkeys(endpoints))
    outcomes = dict(zip(pods, await asyncio.gather(*map(one, pods)), strict=True))
    pages = {pod: page for pod, page in outcomes.items() if isinstance(page, pl.DataFrame)}
    return Scrape(
        at=began,
        readings=pl.concat([empty(READINGS), *pages.values()]),
        answered=tuple(pages),
        failed={pod: why for pod, why in outcomes.items() if isinstance(why, str)},
    )


async def _page(
    pod: str, *, client: httpx.AsyncClient, clock: Callable[[], datetime]
) -> tuple[bytes, datetime]:
    """The page of one pod and the moment its answer began."""
    url = f"{pod.rstrip('/')}/metrics"
    try:
        async with client.stream("GET", url, headers=_TEXT) as response:
            at = clock()
            check(response)
            return await response.aread(), at
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise failure(error, url=url) from error


def _readings(page: bytes, *, pod: str, at: datetime) -> pl.DataFrame:
    return (
        read_page(page, families=FAMILIES)
        .with_columns(pl.lit(at, dtype=UTC_TIME).alias("at"), pl.lit(pod).alias("pod"))
        .select(READINGS.names())
    )
