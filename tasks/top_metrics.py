"""Ask for the fullest metrics of the tenants that blast, and do not wait long for the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx
import polars as pl

from policy.errors import OptimizerError
from policy.settings import Settings
from policy.top_metrics import METRICS_TOLD, TOP_METRICS
from tasks.cardinality import cardinality
from tasks.http import client_of
from tasks.retry import retry_policy
from tasks.step import step

PATIENCE_SECONDS: Final = 3.0
LONGEST_NAME: Final = 200
TRIED: Final = 4  # processes, until one can tell


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """What was told.

    Attributes:
        metrics: TOP_METRICS.
        refused: why nothing was told, by tenant.
        url: of the process that told; None where none did.
    """

    metrics: pl.DataFrame
    refused: dict[str, str]
    url: str | None


@step(
    name="ask-metrics",
    task_run_name="ask for the metrics of {tenants}",
    **retry_policy(retries=0, timeout_seconds=30),
)
async def ask_metrics(
    tenants: Sequence[str], *, urls: Sequence[str], settings: Settings, at: datetime
) -> Answers:
    """The fullest metrics of these tenants; whatever goes wrong is told and raised to nobody.

    Args:
        tenants: about whom.
        urls: of processes that may tell, the likeliest first.
        settings: how Mimir is asked.
        at: stamp of the answers, aware UTC.
    """
    # Without a cache: two answers minutes apart say what grew.
    async with client_of(settings.mimir) as client:
        told = await asyncio.gather(
            *(_ask(tenant, urls=urls[:TRIED], client=client, at=at) for tenant in tenants)
        )
    frames = [TOP_METRICS.to_frame(), *(frame for frame, _, _ in told)]
    return Answers(
        metrics=pl.concat(frames),
        refused={name: why for name, (_, why, _) in zip(tenants, told, strict=True) if why},
        url=next((url for _, _, url in told if url), None),
    )


async def _ask(
    tenant: str, *, urls: Sequence[str], client: httpx.AsyncClient, at: datetime
) -> tuple[pl.DataFrame, str | None, str | None]:
    """TOP_METRICS of one tenant, or why not; and who told."""
    problems = ["no process of Mimir is known that could tell"]
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            for url in urls:
                try:
                    found = await cardinality(url, tenant=tenant, limit=METRICS_TOLD, client=client)
                except (OptimizerError, ValueError, OverflowError) as problem:
                    problems.append(str(problem))
                    continue
                if found.metrics is None:
                    problems.append(f"{url} tells only how many series there are")
                    continue
                rows = found.metrics.with_columns(
                    # A name is what a tenant sent, and it goes to terminals and into reasons.
                    metric=pl.col("metric")
                    .str.replace_all(r"[[:cntrl:]]", "?")
                    .str.slice(0, LONGEST_NAME),
                    at=pl.lit(at, dtype=TOP_METRICS["at"]),
                    tenant=pl.lit(tenant),
                    total=pl.lit(found.series, dtype=pl.Int64),
                )
                return rows.select(TOP_METRICS.names()).cast(TOP_METRICS), None, url
    except TimeoutError:
        problems.append(f"no answer within {PATIENCE_SECONDS:g} s")
    # What a process without the API says hides what one with it had to say.
    last = min(problems[1:] or problems, key=lambda problem: "answered 404" in problem)
    return TOP_METRICS.to_frame(), last, None
