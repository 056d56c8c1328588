"""Read what Mimir attributes by label: from a page of each process, or in PromQL.

Only distributors and ingesters have the page, and only where `-cost-attribution.registry-path` is
set: a process without it tells nothing and is no fault, unless none has it. The page is one of few
families and is cut by regular expressions that run in linear time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import httpx
import polars as pl

from policy.cost.attribution import ATTRIBUTED, FAMILIES
from policy.errors import ConfigError, OptimizerError
from policy.settings import Settings
from tasks.discover import discover
from tasks.exposition import UnreadablePage
from tasks.http import MimirUnavailable, check, client_of, failure, shown
from tasks.packing import packed, unpacked
from tasks.promql_answer import read_vector
from tasks.promql_http import Asking, promql_client
from tasks.retry import retry_policy
from tasks.step import step

_NOT_FOUND: Final = 404
_VALUE: Final = r'"((?:[^"\\]|\\.)*)"'


@step(
    name="read-attribution",
    task_run_name="read what is attributed by {label}",
    **retry_policy(retries=0, timeout_seconds=60),
)
async def read_attribution(
    settings: Settings, *, label: str, clock: Callable[[], datetime]
) -> pl.DataFrame:
    """What every process tells by this label (ATTRIBUTED).

    Raises:
        OptimizerError: nothing answered, or no process has such a page.
    """
    if settings.metrics_source == "promql":
        return await _asked(settings, label=label, clock=clock)
    at = clock()
    pages = await _pages(settings, clock=clock)
    return await asyncio.to_thread(attributed, pages, label=label, at=at)


def attributed(pages: Mapping[str, bytes], *, label: str, at: datetime) -> pl.DataFrame:
    """ATTRIBUTED of whole pages, by pod; series without the label give no row."""
    parts = [
        pl.DataFrame({"line": page.decode("utf-8", errors="replace").splitlines()}).with_columns(
            pod=pl.lit(pod)
        )
        for pod, page in pages.items()
    ]
    if not parts:
        return ATTRIBUTED.to_frame()
    line = pl.col("line")
    names = "|".join(FAMILIES)
    return (
        pl.concat(parts)
        .filter(line.str.contains(rf"^(?:{names})\{{"))
        .select(
            pl.lit(at, dtype=ATTRIBUTED["at"]).alias("at"),
            "pod",
            line.str.extract(r"^([a-z_]+)\{").alias("family"),
            line.str.extract(rf"[{{,]tenant={_VALUE}").alias("tenant"),
            _plain(line.str.extract(rf"[{{,]{label}={_VALUE}")).alias("team"),
            line.str.extract(r"\} +(\S+)(?: +[0-9]+)?$")
            .cast(pl.Float64, strict=False)
            .alias("value"),
        )
        .drop_nulls(["tenant", "team", "value"])
        .filter(pl.col("value").is_finite())
        .pipe(_one_each)
    )


def _plain(text: pl.Expr) -> pl.Expr:
    """A label without its escapes."""
    return text.str.replace_all(r"\\(.)", "${1}")


def _one_each(rows: pl.DataFrame) -> pl.DataFrame:
    """One row for each value of the label, whatever other labels there are."""
    keys = [name for name in ATTRIBUTED.names() if name != "value"]
    return rows.group_by(keys).agg(pl.col("value").sum()).select(ATTRIBUTED.names())


async def _pages(settings: Settings, *, clock: Callable[[], datetime]) -> dict[str, bytes]:
    path = settings.cost_control.attribution.path
    pods = await discover(settings, clock=clock)
    refused: list[str] = []
    turns = asyncio.Semaphore(settings.performance.in_force.batch_processing.max_concurrent)
    async with client_of(settings.mimir, performance=settings.performance) as client:

        async def one(url: str) -> bytes | None:
            try:
                async with turns:
                    return await _page(f"{url.rstrip('/')}{path}", client=client)
            except OptimizerError as error:
                refused.append(" ".join(str(error).split()))
                return None

        found = await asyncio.gather(*(one(pod.url) for pod in pods))
    pages = {pod.name: page for pod, page in zip(pods, found, strict=True) if page is not None}
    if not pages:
        why = f" ({refused[0]})" if refused else ""
        raise MimirUnavailable(
            f"no process of Mimir serves {path}{why}: set its -cost-attribution.registry-path, or "
            "costControl.attribution.path to what that is"
        )
    return pages


async def _page(url: str, *, client: httpx.AsyncClient) -> bytes | None:
    """The page; None where there is none."""
    try:
        async with client.stream("GET", url) as response:
            if response.status_code == _NOT_FOUND:
                return None
            check(response)
            page = unpacked(await packed(response))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise failure(error, url=url) from error
    if page and not page.endswith(b"\n"):
        raise UnreadablePage(f"{shown(httpx.URL(url))} is cut short: its last line has no end")
    return page


async def _asked(settings: Settings, *, label: str, clock: Callable[[], datetime]) -> pl.DataFrame:
    promql = settings.promql
    seconds = promql.total_timeout.total_seconds()
    labels = ("__name__", promql.pod_label, "tenant", label)
    if len(set(labels)) < len(labels):
        raise ConfigError(f"costControl.attribution.label: {label} is a label of its own in Mimir")
    async with promql_client(promql, performance=settings.performance) as client:
        asking = Asking(
            promql=promql,
            client=client,
            at=clock() - promql.delay,
            clock=clock,
            deadline=asyncio.get_running_loop().time() + seconds,
            sleep=asyncio.sleep,
            chance=random.random,
        )
        names = "|".join(FAMILIES)
        series = f'{{__name__=~"{names}",{label}!="",{promql.matchers}}}'
        body = await asking.body(f"sum by ({', '.join(labels)}) ({series})")
    rows = read_vector(body, labels=labels, where=promql.url)
    named = {"__name__": "family", promql.pod_label: "pod", label: "team"}
    return (
        rows.rename(named)
        .with_columns(pl.col("pod").fill_null(""))
        .drop_nulls(["tenant", "team"])
        .select(ATTRIBUTED.names())
        .cast(ATTRIBUTED)
    )
