"""Pods are touched and workloads restarted over real HTTP; what does not work is a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kmock import RawHandler

from policy.settings import Settings, parse_settings
from tasks.kubernetes_client import api_client
from tasks.propagate import REVISION, roll_out, touch_pods
from tests.fake_kubernetes import FakeKubernetes, kubeconfig

pytestmark = pytest.mark.kmock(cls=RawHandler)

PODS = "/api/v1/namespaces/mimir-system/pods"
APPS = "/apis/apps/v1/namespaces/mimir-system"


@pytest.fixture(autouse=True)
def _new_clients() -> Iterator[None]:
    api_client.cache_clear()
    yield
    api_client.cache_clear()


@pytest.fixture
def api(kmock: RawHandler) -> FakeKubernetes:
    return FakeKubernetes(kmock)


@pytest.fixture
def settings(kmock: RawHandler, tmp_path: Path) -> Settings:
    return parse_settings(
        {
            "mimir": {
                "timeout": "2s",
                "triggerRollout": True,
                "rolloutComponents": ["mimir-ingester", "mimir-querier"],
            },
            "metricsDiscovery": {"kubeconfig": str(kubeconfig(tmp_path, str(kmock.url)))},
        }
    )


async def test_each_pod_is_touched_and_keeps_its_other_annotations(
    api: FakeKubernetes, settings: Settings
) -> None:
    names = [f"mimir-ingester-{number}" for number in range(25)]
    for name in names:
        api.put(f"{PODS}/{name}", metadata={"annotations": {"theirs": "1"}})

    said = await touch_pods(names, revision=12, settings=settings)

    assert said == []
    assert api.writes("pods") == len(names)
    for name in names:
        kept = api.kept[f"{PODS}/{name}"]["metadata"]["annotations"]
        assert kept == {"theirs": "1", REVISION: "12"}


async def test_pods_that_are_not_touched_are_counted_by_reason(
    api: FakeKubernetes, settings: Settings
) -> None:
    api.put(f"{PODS}/a")

    (gone,) = await touch_pods(["a", "b", "127.0.0.1:9009"], revision=12, settings=settings)
    api.refused = {"PATCH": 403}
    (refused,) = await touch_pods(["a", "b"], revision=13, settings=settings)

    assert gone.startswith("2 of 3 pods not touched")
    assert "(404)" in gone
    assert refused.startswith("2 of 2 pods not touched")
    assert refused.endswith("grant patch on pods in namespace mimir-system")


async def test_only_the_named_workloads_are_restarted_of_either_kind(
    api: FakeKubernetes, settings: Settings
) -> None:
    template = {"metadata": {"annotations": {"checksum/config": "1"}}}
    for path in ("statefulsets/mimir-ingester", "deployments/mimir-querier", "deployments/other"):
        api.put(f"{APPS}/{path}", spec={"replicas": 3, "template": template})

    said = await roll_out(revision=12, settings=settings)

    assert said == [
        "mimir-ingester is restarted for revision 12",
        "mimir-querier is restarted for revision 12",
    ]
    assert {path.rpartition("/")[2] for path, _ in api.written} == {
        "mimir-ingester",
        "mimir-querier",
    }
    for _, kept in api.written:
        assert kept["spec"]["replicas"] == 3
        assert kept["spec"]["template"]["metadata"]["annotations"] == {
            "checksum/config": "1",
            REVISION: "12",
        }


async def test_without_names_nothing_is_restarted_and_that_is_told(api: FakeKubernetes) -> None:
    settings = parse_settings({"mimir": {"triggerRollout": True}})

    (said,) = await roll_out(revision=12, settings=settings)

    assert "nothing is restarted" in said
    assert api.asked == []


async def test_a_workload_that_is_not_there_is_told_and_the_others_go_on(
    api: FakeKubernetes, settings: Settings
) -> None:
    api.put(f"{APPS}/deployments/mimir-querier", spec={"template": {}})

    gone, done = await roll_out(revision=12, settings=settings)

    assert gone.startswith("mimir-ingester is not restarted for revision 12: ")
    assert done == "mimir-querier is restarted for revision 12"
