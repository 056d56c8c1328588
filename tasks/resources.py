"""Ask a PromQL server what Kubernetes knows of Mimir's pods.

The server may know nothing of it, and none may be configured: what is not told stays unknown,
and never fails a look at Mimir.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx
import polars as pl

from policy.cluster_resources import ANSWER, Question, cluster_resources, questions
from policy.errors import OptimizerError
from policy.settings import Settings
from policy.settings.promql import Promql
from tasks.promql_answer import read_vector
from tasks.promql_http import Asking, promql_client
from tasks.retry import retry_policy
from tasks.step import step


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClusterView:
    """What the cluster told.

    Attributes:
        resources: RESOURCES of the pods with a container of Mimir.
        unknown: why a question was not answered, by resource and column.
    """

    resources: pl.DataFrame
    unknown: Mapping[Question, str]


@step(
    name="ask-cluster",
    task_run_name="ask the cluster of Mimir's processes",
    **retry_policy(retries=0, timeout_seconds=60),
)
async def cluster_view(settings: Settings, *, clock: Callable[[], datetime]) -> ClusterView:
    """What the PromQL server of the settings knows of the pods; each query retries by itself."""
    promql = settings.promql
    async with promql_client(promql, performance=settings.performance) as client:
        return await ask_prometheus(
            promql, namespace=settings.metrics_discovery.namespace, client=client, clock=clock
        )


async def ask_cluster(
    query: Callable[[str], Awaitable[pl.DataFrame]], *, namespace: str, window: timedelta
) -> ClusterView:
    """Ask every question at once; what bounds how many are under way is the client's.

    Args:
        query: asks a PromQL server; ANSWER of policy.cluster_resources, an OptimizerError else.
        namespace: where Mimir's pods are.
        window: what rates are taken over.
    """
    asked = questions(namespace=namespace, window=window)

    async def ask(text: str) -> pl.DataFrame | OptimizerError:
        try:
            return await query(text)
        except OptimizerError as error:
            return error

    answers = await asyncio.gather(*map(ask, asked.values()))
    by_question = dict(zip(asked, answers, strict=True))
    return ClusterView(
        resources=cluster_resources(
            {of: told for of, told in by_question.items() if isinstance(told, pl.DataFrame)}
        ),
        unknown={
            of: str(error) for of, error in by_question.items() if isinstance(error, OptimizerError)
        },
    )


async def ask_prometheus(
    promql: Promql,
    *,
    namespace: str,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
) -> ClusterView:
    """Ask the PromQL server of the settings, as of now, for at most `promql.totalTimeout`.

    Args:
        promql: where, and how patiently.
        namespace: where Mimir's pods are.
        client: of tasks.promql_http.
        clock: aware UTC.
    """
    asking = Asking(
        promql=promql,
        client=client,
        at=clock() - promql.delay,
        clock=clock,
        deadline=asyncio.get_running_loop().time() + promql.total_timeout.total_seconds(),
        sleep=asyncio.sleep,
        chance=random.random,
    )

    async def query(text: str) -> pl.DataFrame:
        body = await asking.body(text)
        rows = read_vector(body, labels=("pod", "container"), where=promql.url)
        return rows.drop_nulls("pod").select(ANSWER.names())

    return await ask_cluster(query, namespace=namespace, window=promql.window)
