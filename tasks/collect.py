"""Look at Mimir: scrape every process, and read the limits that it has loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl
from prefect import task

from policy.frames import READINGS, empty
from policy.scrape import Pod, Scrape
from policy.settings import Settings
from policy.sources import Told, defaults_told, names_told, overridden
from tasks.discover import discover
from tasks.effective import limits_told
from tasks.exposition_known import KnownPage
from tasks.http import MimirUnavailable, client_of
from tasks.retry import retry_policy
from tasks.scrape import scrape
from tasks.scrape_parts import Sent, joined
from tasks.spreading import NotBroughtBack, spread, workers
from tasks.step import step
from tasks.versions import versions_of

LOOK_SECONDS: Final = 60.0
PART_SECONDS: Final = 45.0

_known: dict[str, KnownPage] = {}  # in a worker: what the pages of its part were like


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedLimits:
    """The limits that Mimir has loaded.

    Attributes:
        overrides: LIMITS of tenants with an override, ours among them.
        defaults: LIMITS of the tenant '' that stands for all others.
        known: the limits of which the overrides are known; None is all of them.
        told: what each source told, the most trusted first.
        versions: what the processes say they are, None for one that does not say. One that cannot
            be reached for a while is what it said before.
    """

    overrides: pl.DataFrame
    defaults: pl.DataFrame
    known: frozenset[str] | None
    told: tuple[Told, ...]
    versions: frozenset[str | None]


async def collect(
    settings: Settings,
    *,
    clock: Callable[[], datetime],
    known: MutableMapping[str, KnownPage] | None = None,
) -> Scrape:
    """Find every process and scrape it once; one that fails leaves the others.

    The processes are shared out among the workers of a Dask cluster, where the flow run has one.

    Args:
        settings: of the look.
        clock: the time now, aware UTC.
        known: what the pages were like in the look before; put there for the next. Each worker
            knows those that it read itself.

    Raises:
        MimirUnavailable: not one process answered.
        OptimizerError: it cannot be found out which processes there are.
    """
    among = await asyncio.to_thread(workers)
    if not among:
        return await _collect_here(settings, clock=clock, known=known)
    began, found = clock(), await discover(settings, clock=clock)
    pods = tuple({pod.name: pod for pod in reversed(found)}.values())[::-1]
    return _answered(await asyncio.to_thread(_shared_out, pods, settings, among=among, at=began))


@step(
    name="collect",
    task_run_name="scrape every process",
    **retry_policy(retries=2, timeout_seconds=LOOK_SECONDS),
)
async def _collect_here(
    settings: Settings,
    *,
    clock: Callable[[], datetime],
    known: MutableMapping[str, KnownPage] | None,
) -> Scrape:
    pods = await discover(settings, clock=clock)
    return _answered(await _scraped(pods, settings=settings, clock=clock, known=known))


async def scrape_part(pods: Sequence[Pod], settings: Settings) -> Sent:
    """Scrape these processes, in a worker: by its own clock, and by the pages that it knows."""
    return Sent.of(
        await _scraped(pods, settings=settings, clock=lambda: datetime.now(UTC), known=_known)
    )


# Not a decorator: a function that goes by the name of its task is pickled whole, with a copy of
# what the worker is to remember.
collect_part = task(
    name="collect-part",
    task_run_name="scrape {pods[0].name} and others",
    **retry_policy(retries=1, timeout_seconds=PART_SECONDS),
)(scrape_part)


async def _scraped(
    pods: Sequence[Pod],
    *,
    settings: Settings,
    clock: Callable[[], datetime],
    known: MutableMapping[str, KnownPage] | None,
) -> Scrape:
    performance = settings.performance.in_force
    async with client_of(settings.mimir, performance=performance) as client:
        return await scrape(
            pods,
            client=client,
            clock=clock,
            batching=performance.batch_processing,
            timeout_seconds=settings.mimir.timeout.total_seconds(),
            known=known,
        )


def _shared_out(
    pods: Sequence[Pod], settings: Settings, *, among: tuple[str, ...], at: datetime
) -> Scrape:
    """The scrape of all; the processes of a part that no worker gave back have failed."""
    # Those of one kind stand together and have pages of one size, so each part gets some of them.
    parts = [pods[first :: len(among)] for first in range(min(len(among), len(pods)))]
    given = [{"pods": part, "settings": settings} for part in parts]
    found: list[Sent] = []
    lost: dict[str, str] = {}
    answers = spread(collect_part, given, among=among, patience_seconds=LOOK_SECONDS)
    for part, answer in zip(parts, answers, strict=True):
        if isinstance(answer, NotBroughtBack):
            lost |= {pod.name: str(answer) for pod in part}
        else:
            found.append(answer)
    return joined(found, pods=pods, lost=lost, at=at)


def _answered(seen: Scrape) -> Scrape:
    if not seen.answered:
        first = next(iter(seen.failed.values()))
        raise MimirUnavailable(
            f"none of {len(seen.failed)} Mimir processes answered ({first}); ask `mlo doctor`"
        )
    return seen


@step(
    name="read-limits",
    task_run_name="read limits",
    **retry_policy(retries=2, timeout_seconds=60),
)
async def read_limits(
    settings: Settings, *, clock: Callable[[], datetime], seen: Scrape | None = None
) -> LoadedLimits:
    """Read the limits in force, by whichever source tells them, and the versions of all.

    Args:
        settings: where the processes of Mimir are.
        clock: aware UTC.
        seen: the newest scrape: the overrides-exporter is in it, and which tenants there are.

    Raises:
        OptimizerError: no source told the overrides, or none the defaults.
    """
    readings = empty(READINGS) if seen is None else seen.readings
    endpoints = [pod.url for pod in await discover(settings, clock=clock)]
    async with client_of(settings.mimir, performance=settings.performance) as client:
        told = await limits_told(endpoints, client=client, readings=readings)
        versions = await versions_of(endpoints, client=client, clock=clock)
    return LoadedLimits(
        overrides=overridden(told),
        defaults=defaults_told(told),
        known=names_told(told),
        versions=versions,
        told=told,
    )
