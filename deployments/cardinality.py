"""Ask whichever process can tell which metrics of a tenant have the most series."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import polars as pl

from policy.errors import OptimizerError
from policy.figures import figure
from policy.settings import Settings
from tasks.cardinality import Cardinality, cardinality
from tasks.discover import discover
from tasks.http import client_of
from tasks.user_limits import user_limits

PER_METRIC: Final = "max_global_series_per_metric"


def against(metrics: pl.DataFrame, *, allowed: float | None) -> pl.DataFrame:
    """METRICS beside the limit on series per metric; 0 there is unlimited, None unknown."""
    bounded = allowed if allowed and allowed > 0 else None
    told = "unlimited" if allowed == 0 else None if allowed is None else figure(allowed)
    return metrics.with_columns(
        limit=pl.lit(told, dtype=pl.String),
        used_percent=(pl.col("series") / pl.lit(bounded, dtype=pl.Float64) * 100).round(2),
    )


async def ask(
    settings: Settings, *, tenant: str, limit: int, url: str | None
) -> tuple[Cardinality, float | None]:
    """The fullest metrics of a tenant, and its limit on series per metric, None if not told.

    Args:
        settings: where the processes of Mimir are.
        tenant: whom to ask about.
        limit: how many metrics.
        url: the only process to ask, instead.

    Raises:
        OptimizerError: no process told.
    """
    urls = [url] if url else [pod.url for pod in await discover(settings, clock=_now)]
    async with client_of(settings.mimir, performance=settings.performance) as client:
        problems: list[OptimizerError] = []
        for one in urls:
            try:
                found = await cardinality(one, tenant=tenant, limit=limit, client=client)
                break
            except OptimizerError as exc:
                problems.append(exc)
        else:
            # What a process without the API says hides what one with it had to say.
            raise min(problems, key=lambda problem: "answered 404" in str(problem))
        try:
            limits = await user_limits(one, tenants=[tenant], client=client)
        except OptimizerError:
            return found, None
    return found, next(iter(limits.filter(limit=PER_METRIC)["value"]), None)


def _now() -> datetime:
    return datetime.now(UTC)
