"""Ask which metrics of a tenant have the most series: no metrics page tells it.

Mimir counts them on demand where its cardinality analysis is on. Cortex has no such analysis and
tells only how many series the tenant has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx
import polars as pl

from policy.errors import ConfigError
from tasks.http import check, get, shown
from tasks.user_limits import TENANT_HEADER

METRICS: Final = pl.Schema({"metric": pl.String(), "series": pl.Int64()})

_BY_METRIC: Final = "/prometheus/api/v1/cardinality/label_values"
_BY_TENANT: Final = "/api/v1/user_stats"
_NOT_FOUND: Final = 404
_REFUSED: Final = (400, 403, 422)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cardinality:
    """The series of a tenant.

    Attributes:
        series: all of them, replicas counted once.
        metrics: METRICS, the fullest first; None where only the sum is told.
    """

    series: int
    metrics: pl.DataFrame | None


async def cardinality(
    base_url: str, *, tenant: str, limit: int, client: httpx.AsyncClient
) -> Cardinality:
    """The fullest metrics of a tenant, by their series in the ingesters' memory.

    Args:
        base_url: of a querier, a query-frontend, or a gateway before them.
        tenant: whom to ask about.
        limit: how many metrics, at most what cardinality_analysis_max_results allows.
        client: of tasks.http.

    Raises:
        MimirUnavailable: no answer, 429 or 5xx.
        ConfigError: the analysis is off, or nothing of the kind is served there.
    """
    base = base_url.rstrip("/")
    headers = {TENANT_HEADER: tenant}
    params = {"label_names[]": "__name__", "limit": str(limit), "count_method": "inmemory"}
    answer = await get(
        client,
        base + _BY_METRIC,
        params=params,
        headers=headers,
        allow=(_NOT_FOUND, *_REFUSED),
    )
    if answer.status_code == _NOT_FOUND:
        stats = _object(await get(client, base + _BY_TENANT, headers=headers))
        return Cardinality(series=_count(stats.get("numSeries")), metrics=None)
    if not answer.is_success:
        _refuse_disabled(answer, tenant=tenant)
        check(answer)
    return _by_metric(_object(answer))


def _refuse_disabled(answer: httpx.Response, *, tenant: str) -> None:
    if "cardinality analysis is disabled" in answer.text:
        raise ConfigError(
            f"cardinality analysis is off for {tenant}: set cardinality_analysis_enabled: true in "
            "its overrides, or -querier.cardinality-analysis-enabled for all"
        )


def _by_metric(answer: Mapping[str, object]) -> Cardinality:
    rows = [
        (str(value.get("label_value")), _count(value.get("series_count")))
        for label in _objects(answer.get("labels"))
        for value in _objects(label.get("cardinality"))
    ]
    metrics = pl.DataFrame(rows, schema=METRICS, orient="row")
    return Cardinality(
        series=_count(answer.get("series_count_total")),
        metrics=metrics.sort("series", "metric", descending=[True, False]),
    )


def _object(answer: httpx.Response) -> Mapping[str, object]:
    try:
        told = json.loads(answer.content)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise ConfigError(
            f"{shown(answer.request.url)} answered something that is no JSON object: "
            "is a proxy in between?"
        )
    return told


def _objects(value: object) -> list[Mapping[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _count(value: object) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0
