"""Look at Mimir: scrape every process, and read the limits that it has loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import polars as pl

from policy.effective import EVERYONE
from policy.errors import OptimizerError
from policy.frames import LIMITS
from policy.scrape import Scrape
from policy.settings.connection import MimirSettings
from tasks.http import MimirUnavailable, client_of
from tasks.mimir import build_version, default_limits, runtime_overrides
from tasks.retry import retry_policy
from tasks.scrape import scrape
from tasks.step import step

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedLimits:
    """The limits that Mimir has loaded.

    Attributes:
        overrides: LIMITS of tenants with an override, ours among them.
        defaults: LIMITS of the tenant '' that stands for all others.
        versions: what the processes say they are, None for one that does not say.
    """

    overrides: pl.DataFrame
    defaults: pl.DataFrame
    versions: frozenset[str | None]


@step(
    name="collect",
    task_run_name="scrape {mimir.endpoints[0]} …",
    **retry_policy(retries=2, timeout_seconds=60),
)
async def collect(mimir: MimirSettings, *, clock: Callable[[], datetime]) -> Scrape:
    """Scrape every process once; one that fails leaves the others.

    Raises:
        MimirUnavailable: not one process answered.
    """
    async with client_of(mimir) as client:
        seen = await scrape(
            mimir.endpoints,
            client=client,
            clock=clock,
            timeout_seconds=mimir.timeout.total_seconds(),
        )
    if not seen.answered:
        first = next(iter(seen.failed.values()))
        raise MimirUnavailable(
            f"none of {len(seen.failed)} Mimir processes answered ({first}); ask `mlo doctor`"
        )
    return seen


@step(
    name="read-limits",
    task_run_name="read limits of {mimir.endpoints[0]}",
    **retry_policy(retries=2, timeout_seconds=60),
)
async def read_limits(mimir: MimirSettings) -> LoadedLimits:
    """Read overrides and defaults from the first process that tells each, versions from all.

    Raises:
        OptimizerError: no process told; the error of the last one.
    """
    async with client_of(mimir) as client:
        endpoints = mimir.endpoints
        overrides = await first_answer(endpoints, lambda url: runtime_overrides(url, client=client))
        defaults = await first_answer(endpoints, lambda url: default_limits(url, client=client))
        versions = await every_answer(endpoints, lambda url: build_version(url, client=client))
    return LoadedLimits(
        overrides=overrides,
        defaults=pl.DataFrame(
            {
                "tenant": [EVERYONE] * len(defaults),
                "limit": list(defaults),
                "value": list(defaults.values()),
            },
            schema=LIMITS,
        ),
        versions=frozenset(versions),
    )


async def first_answer(endpoints: Sequence[str], read: Callable[[str], Awaitable[T]]) -> T:
    """The answer of the first process that gives one.

    Raises:
        OptimizerError: none did; the error of the last one.
    """
    problem: OptimizerError = MimirUnavailable("mimir.endpoints names no process")
    for url in endpoints:
        try:
            return await read(url)
        except OptimizerError as exc:
            problem = exc
    raise problem


async def every_answer(endpoints: Sequence[str], read: Callable[[str], Awaitable[T]]) -> list[T]:
    """The answers of all processes that give one.

    Raises:
        OptimizerError: none did; the error of the first one.
    """

    async def ask(url: str) -> T | OptimizerError:
        try:
            return await read(url)
        except OptimizerError as exc:
            return exc

    answers = await asyncio.gather(*map(ask, endpoints))
    told = [answer for answer in answers if not isinstance(answer, OptimizerError)]
    problems = [answer for answer in answers if isinstance(answer, OptimizerError)]
    if problems and not told:
        raise problems[0]
    return told
