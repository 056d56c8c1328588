"""Look at Mimir through a Prometheus, or a Mimir, that scrapes it: the same shape as a scrape.

What is read are the raw samples of whole scrapes, each at its own time, never a rate that was
made elsewhere: a reset must be seen pod by pod. A pod is heard when its newest scrape worked and
is recent; any other has failed, which is not the same as a pod with nothing to tell.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any, Final, TypeVar

import httpx
import polars as pl

from policy.clocks import MEND, skew
from policy.errors import ConfigError, OptimizerError
from policy.frames import READINGS
from policy.scrape import FAMILIES
from policy.settings.performance import UNTUNED, Performance
from policy.settings.promql import Promql
from tasks.packing import Packed
from tasks.promql_answer import read_vector
from tasks.promql_http import Asking, PromqlUnavailable, promql_client
from tasks.promql_matrix import read_matrix
from tasks.promql_pair import Newest, Pair, newest_pair, newest_two
from tasks.promql_plan import Part, parts, ranged, selector
from tasks.retry import retry_policy
from tasks.step import step

# Every other family that we read is one that any program may have.
OWN: Final = "cortex_"
_LABELS: Final = tuple(
    name for name in READINGS.names() if name not in {"at", "pod", "family", "value"}
)
# Above any promql.totalTimeout that makes sense: that one ends a look, in words of its own.
_LONGEST_SECONDS: Final = 600.0
# The newest, the one before it, and one that another answer may lack; a half, so that no fourth
# is read wherever a scrape falls.
_INTERVALS: Final = 2.5

_Answer = TypeVar("_Answer")


@step(
    name="collect-promql",
    task_run_name="ask {promql.url} …",
    **retry_policy(retries=0, timeout_seconds=_LONGEST_SECONDS),
)
async def collect_promql(
    promql: Promql, *, clock: Callable[[], datetime], performance: Performance = UNTUNED
) -> Pair:
    """Look once; every question is asked again by itself while there is time.

    Raises:
        PromqlUnavailable: no whole answer came, or not one pod could be heard.
        ConfigError: the settings do not fit what is there.
    """
    async with promql_client(promql, performance=performance) as client:
        pair = await ask_promql(promql, client=client, clock=clock)
    if not pair.current.answered:
        first = next(iter(pair.current.failed.values()))
        raise PromqlUnavailable(
            f"none of {len(pair.current.failed)} Mimir processes is heard through {promql.url} "
            f"({first}); {_why_not(pair.current.ahead)}"
        )
    return pair


def _why_not(ahead: Mapping[str, float]) -> str:
    """What to do where nothing is heard: clocks that differ ask about another time."""
    found = skew(ahead)
    return "ask `mlo doctor`" if found is None else f"{found.words}: {MEND}"


async def ask_promql(
    promql: Promql,
    *,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    chance: Callable[[], float] = random.random,
) -> Pair:
    """The newest scrape of every pod and the one before it.

    Args:
        promql: where, and what to ask for.
        client: of `promql_client`.
        clock: the time now, aware UTC; the look is `promql.delay` earlier.
        sleep: waits so many seconds before a question is asked again.
        chance: a number from 0 to 1.

    Raises:
        PromqlUnavailable: no whole answer within `promql.totalTimeout`, or no pod is known.
        ConfigError: the settings do not fit what is there.
    """
    total = promql.total_timeout.total_seconds()
    asking = Asking(
        promql=promql,
        client=client,
        at=clock() - promql.delay,
        clock=clock,
        deadline=asyncio.get_running_loop().time() + total,
        sleep=sleep,
        chance=chance,
    )
    # In one thread, and so one at a time: what is made of an answer while it is read is several
    # times its size, and each thread would keep such memory of its own.
    reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="promql")
    try:
        async with asyncio.timeout(total):
            pair = await _pair(asking, reader=reader)
        return replace(pair, current=replace(pair.current, ahead=asking.ahead))
    except TimeoutError as error:
        raise PromqlUnavailable(
            f"{promql.url} did not answer everything within {total:g} s (promql.totalTimeout): "
            "give it longer, or narrow promql.matchers"
        ) from error
    except OptimizerError as refusal:
        if (found := skew(asking.ahead)) is None:
            raise
        raise PromqlUnavailable(f"{refusal}; {found.words}: {MEND}") from refusal
    finally:
        reader.shutdown(wait=False, cancel_futures=True)


async def _pair(asking: Asking, *, reader: Executor) -> Pair:
    promql = asking.promql
    label, oldest = promql.pod_label, asking.at - promql.window
    up = f"up{{{promql.matchers}}}"
    wanted = selector(FAMILIES, matchers=promql.matchers)

    read = partial(asyncio.get_running_loop().run_in_executor, reader)
    held = asyncio.Semaphore(promql.max_concurrent_queries)

    async def vector(query: str) -> pl.DataFrame:
        return await read(partial(_vector, await asking.packed(query), asking=asking))

    async def matrix(query: str) -> pl.DataFrame:
        async with held:  # no more of them wait to be read than are asked for at once
            return await read(partial(_readings, await asking.packed(query), asking=asking))

    async def newest(some: Iterable[Part], *, span: timedelta) -> Newest:
        queries = [
            selector(part.families, matchers=promql.matchers, label=label, pods=part.pods)
            for part in some
        ]
        answers = await _all(*(matrix(ranged(series, window=span)) for series in queries))
        return await read(partial(newest_two, answers, at=asking.at, oldest=oldest))

    targets, scraped, counts, sizes = await _all(
        vector(up),
        vector(f"timestamp({up})"),
        vector(f"count_over_time({ranged(up, window=promql.window)})"),
        vector(f"count by (__name__, {label}) ({wanted})"),
    )
    failed = _unheard(targets, scraped, sizes, asking=asking)
    heard = sizes.filter(
        pl.col("pod").is_in(targets["pod"].implode()), ~pl.col("pod").is_in(list(failed))
    )
    span = _span(scraped, counts, heard=set(heard["pod"]), asking=asking)
    planned = parts(heard, most_series=promql.max_series_per_query)
    by_pods = groupby(planned, key=lambda part: part.pods)
    return newest_pair(
        await _all(*(newest([*some], span=span) for _, some in by_pods)),
        pods=targets["pod"].unique().sort().to_list(),
        telling=set(heard["pod"]),
        failed=failed,
        at=asking.at,
        oldest=oldest,
    )


def _span(
    scraped: pl.DataFrame, counts: pl.DataFrame, *, heard: set[str], asking: Asking
) -> timedelta:
    """The time that holds the newest three scrapes of every pod: all of the window is far more."""
    window = asking.promql.window
    of_heard = pl.col("pod").is_in(list(heard))
    newest, fewest = scraped.filter(of_heard)["value"].min(), counts.filter(of_heard)["value"].min()
    if not isinstance(newest, float) or not isinstance(fewest, float):
        return window
    age = timedelta(seconds=asking.at.timestamp() - newest)
    return min(window, age + _INTERVALS * window / fewest)


async def _all(*questions: Coroutine[Any, Any, _Answer]) -> list[_Answer]:
    """All answers; the first refusal ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(question) for question in questions]
    except ExceptionGroup as refusals:
        raise refusals.exceptions[0] from None
    return [task.result() for task in tasks]


def _vector(answer: Packed, *, asking: Asking) -> pl.DataFrame:
    """The samples of each family and pod: columns family, pod, at and value."""
    label, where = asking.promql.pod_label, asking.promql.url
    rows = read_vector(asking.unpacked(answer), labels=("__name__", label), where=where)
    return rows.rename({"__name__": "family", label: "pod"})


def _readings(answer: Packed, *, asking: Asking) -> pl.DataFrame:
    """READINGS of every scrape in the answer."""
    label, where = asking.promql.pod_label, asking.promql.url
    body = asking.unpacked(answer)
    rows = read_matrix(body, labels=("__name__", label, *_LABELS), where=where)
    return rows.rename({"__name__": "family", label: "pod"}).select(READINGS.names()).cast(READINGS)


def _unheard(
    targets: pl.DataFrame, scraped: pl.DataFrame, sizes: pl.DataFrame, *, asking: Asking
) -> Mapping[str, str]:
    """The pods whose newest scrape cannot be gone by, each with the reason on one line.

    Raises:
        PromqlUnavailable: there are no pods, or none of Mimir's.
        ConfigError: they cannot be told apart.
    """
    promql = asking.promql
    up = f"up{{{promql.matchers}}}"
    if targets.is_empty():
        raise PromqlUnavailable(
            f"{promql.url} knows no target {up}: correct promql.matchers"
            + (" or promql.tenant" if promql.tenant else "")
        )
    if targets["pod"].null_count() or sizes["pod"].null_count():
        other = "instance" if promql.pod_label != "instance" else "pod"
        raise ConfigError(
            f"{promql.url} has targets {up} without the label {promql.pod_label!r}: set "
            f"promql.podLabel to one that each has, such as {other}"
        )
    if sizes.filter(pl.col("family").str.starts_with(OWN)).is_empty():
        raise PromqlUnavailable(
            f"{promql.url} has {targets.height} targets {up}, and no metric of Mimir from them: "
            "correct promql.matchers"
        )
    age = (pl.lit(asking.at) - pl.col("scraped_at")).dt.total_seconds(fractional=True)
    states = (
        targets.group_by("pod")
        .agg((pl.col("value") == 1.0).sum().alias("working"))
        .join(
            scraped.group_by("pod").agg(
                pl.from_epoch(pl.col("value").max() * 1e6, time_unit="us")
                .dt.replace_time_zone("UTC")
                .alias("scraped_at")
            ),
            on="pod",
            how="left",
        )
        .join(
            sizes.group_by("pod").agg(pl.col("value").sum().alias("series")), on="pod", how="left"
        )
        .sort("pod")
        .select("pod", "working", "series", age.alias("age"))
    )
    return {
        pod: why
        for pod, *state in states.iter_rows()
        if (why := _why_unheard(*state, promql=promql)) is not None
    }


def _why_unheard(
    working: int, series: float | None, age_seconds: float | None, *, promql: Promql
) -> str | None:
    if working == 0:
        return "its newest scrape failed: up is 0"
    if age_seconds is None or age_seconds > promql.window.total_seconds():
        age = "long ago" if age_seconds is None else f"{age_seconds:.0f} s ago"
        return f"its newest scrape was {age}, before promql.window: is it scraped still?"
    if working > 1 and series:
        return (
            f"{working} targets are scraped under this name and would be counted twice: "
            "narrow promql.matchers, or set promql.podLabel to what tells them apart"
        )
    return None
