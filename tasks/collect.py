"""Look at Mimir: scrape every process, and read the limits that it has loaded."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from policy.frames import READINGS, empty
from policy.scrape import Scrape
from policy.settings import Settings
from policy.sources import Told, defaults_told, names_told, overridden
from tasks.discover import discover
from tasks.effective import limits_told
from tasks.exposition_known import KnownPage
from tasks.http import MimirUnavailable, client_of
from tasks.retry import retry_policy
from tasks.scrape import scrape
from tasks.step import step
from tasks.versions import versions_of


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


@step(
    name="collect",
    task_run_name="scrape every process",
    **retry_policy(retries=2, timeout_seconds=60),
)
async def collect(
    settings: Settings,
    *,
    clock: Callable[[], datetime],
    known: MutableMapping[str, KnownPage] | None = None,
) -> Scrape:
    """Find every process and scrape it once; one that fails leaves the others.

    Args:
        settings: of the look.
        clock: the time now, aware UTC.
        known: what the pages were like in the look before; put there for the next.

    Raises:
        MimirUnavailable: not one process answered.
        OptimizerError: it cannot be found out which processes there are.
    """
    mimir = settings.mimir
    pods = await discover(settings, clock=clock)
    performance = settings.performance.in_force
    async with client_of(mimir, performance=performance) as client:
        seen = await scrape(
            pods,
            client=client,
            clock=clock,
            batching=performance.batch_processing,
            timeout_seconds=mimir.timeout.total_seconds(),
            known=known,
        )
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
