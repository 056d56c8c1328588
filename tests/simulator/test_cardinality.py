"""The cardinality API of the simulated Mimir: the exploding metric is at the top."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from simulator.cardinality import EXPLODING, METRICS

New = Callable[..., Any]
PATH = "prometheus/api/v1/cardinality/label_values"
QUERY = "label_names%5B%5D=__name__&limit=5&count_method=inmemory"


def ask(world: Any, tenant: str = "a", **told: str) -> Any:  # noqa: ANN401 - of conftest
    path = f"/{told.get('process', 'query-frontend')}/{PATH}"
    headers = {"x-scope-orgid": tenant} if tenant else {}
    return world.get(path, query=told.get("query", QUERY), headers=headers)


def metrics(world: Any, tenant: str = "a") -> dict[str, int]:  # noqa: ANN401
    (label,) = json.loads(ask(world, tenant).body)["labels"]
    return {one["label_value"]: one["series_count"] for one in label["cardinality"]}


def test_the_fullest_metrics_come_first_and_replicas_count_once(
    new_world: New, one_tenant: New
) -> None:
    world = new_world([one_tenant("a", series=30_000)])

    told = json.loads(ask(world).body)

    (label,) = told["labels"]
    counts = [one["series_count"] for one in label["cardinality"]]
    assert told["series_count_total"] == label["series_count"] == pytest.approx(30_000, rel=0.01)
    assert label["label_name"] == "__name__"
    assert label["label_values_count"] == len(METRICS)
    assert len(counts) == 5
    assert counts == sorted(counts, reverse=True)


def test_what_explodes_is_one_metric_and_soon_at_the_top(new_world: New, one_tenant: New) -> None:
    world = new_world(
        [one_tenant("a", series=30_000), one_tenant("b", series=30_000)],
        {"a": {"max_global_series_per_user": 0}},
    )
    before = metrics(world)

    world.cluster.blast("a", factor=20, seconds=300, kind="series")
    world.live(60)

    after = metrics(world)
    assert EXPLODING not in before
    assert next(iter(after)) == EXPLODING
    assert after[EXPLODING] == pytest.approx(19 * 30_000 / 5, rel=0.05)
    assert {metric: after[metric] for metric in after if metric != EXPLODING}.items() <= (
        before.items()
    )
    assert EXPLODING not in metrics(world, "b")


@pytest.mark.parametrize(
    ("told", "status", "says"),
    [
        ({"tenant": ""}, 401, "no org id"),
        ({"tenant": "off"}, 400, "cardinality analysis is disabled for the tenant: off"),
        ({"process": "ingester-0"}, 404, "not found"),
        ({"query": "limit=5"}, 400, "'label_names[]' param is required"),
        ({"query": "label_names[]=__name__&limit=501"}, 400, "cannot be greater than '500'"),
    ],
)
def test_who_may_not_ask_is_told_why(
    new_world: New, one_tenant: New, told: dict[str, str], status: int, says: str
) -> None:
    world = new_world(
        [one_tenant("a"), one_tenant("off")], {"off": {"cardinality_analysis_enabled": False}}
    )

    answer = ask(world, **told)

    assert answer.status == status
    assert says in answer.body


def test_a_tenant_without_series_has_none(new_world: New, one_tenant: New) -> None:
    world = new_world([one_tenant("a")])

    assert json.loads(ask(world, "nobody").body) == {"series_count_total": 0, "labels": []}
