"""Publishing to a ConfigMap through a real HTTP API that conflicts, refuses, and loses answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kmock import RawHandler

from flows.optimize import optimize
from flows.protect import protect
from flows.rollback import rollback
from flows.writing import release_pen
from policy.document import parse
from policy.errors import Conflict, OptimizerError, RetriableError
from storage.pauses import pause
from tasks.kubernetes_client import api_client
from tests.fake_kubernetes import FakeKubernetes, kubeconfig

pytestmark = pytest.mark.kmock(cls=RawHandler)

INTERVAL = 15.0
NAMESPACE = "mimir-system"
CONFIG_MAP = f"/api/v1/namespaces/{NAMESPACE}/configmaps/mimir-runtime-overrides"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/mimir-limit-optimizer"
KEY = "overrides.yaml"
EPOCH, PAUSED = "mimir-limit-optimizer/epoch", "mimir-limit-optimizer/paused"

NewWorld = Callable[..., Any]


@pytest.fixture(autouse=True)
def _new_clients() -> Iterator[None]:
    api_client.cache_clear()
    yield
    api_client.cache_clear()


@pytest.fixture
def api(kmock: RawHandler) -> FakeKubernetes:
    return FakeKubernetes(kmock)


class Way:
    """A world that publishes to the ConfigMap, which a kubelet brings to the simulated Mimir."""

    def __init__(self, world: Any, api: FakeKubernetes) -> None:  # noqa: ANN401 - of conftest
        self.world = world
        self.api = api

    async def run(self, flow: Any, *, after: float = INTERVAL) -> list[str]:  # noqa: ANN401
        if (text := self.document()) is not None:
            self.world.file.write_text(text)
        said: list[str] = await self.world.run(flow, after=after)
        return said

    async def begin(self) -> None:
        for flow in (protect, optimize, protect):
            await self.run(flow)

    def document(self) -> str | None:
        kept = self.api.kept.get(CONFIG_MAP)
        found: str | None = kept and kept["data"].get(KEY)
        return found

    def annotation(self, name: str) -> str | None:
        found: str | None = self.api.kept[CONFIG_MAP]["metadata"].get("annotations", {}).get(name)
        return found

    def edit(self, **annotations: str) -> None:
        """Annotate it as somebody else would."""
        kept = self.api.kept[CONFIG_MAP]
        kept["metadata"].setdefault("annotations", {}).update(annotations)
        self.api.touch(CONFIG_MAP)


@pytest.fixture
def way(new_world: NewWorld, api: FakeKubernetes, kmock: RawHandler, tmp_path: Path) -> Way:
    tree = {
        "mode": "prod",
        "publish": {"sink": "configmap"},
        "metricsDiscovery": {"kubeconfig": str(kubeconfig(tmp_path, str(kmock.url)))},
    }
    api.put(CONFIG_MAP, data={KEY: "overrides: {}\n"})  # as a chart makes it
    return Way(new_world(tree=tree), api)


async def test_what_is_published_is_confirmed_and_then_nothing_is_written(way: Way) -> None:
    await way.begin()
    written = way.api.writes("configmaps")
    for cycle in range(20):
        await way.run(optimize if cycle % 5 == 4 else protect)

    assert way.world.revisions() == [("found", "confirmed"), ("optimizer", "confirmed")]
    assert parse((way.document() or "").encode()).height > 0
    assert way.api.writes("configmaps") == written
    assert way.annotation(EPOCH) == "1"


async def test_a_config_map_that_is_not_there_is_made_with_the_first_limits(way: Way) -> None:
    """An empty one would drop what the processes still have."""
    del way.api.kept[CONFIG_MAP]

    await way.run(protect)
    absent = CONFIG_MAP not in way.api.kept
    await way.run(optimize)

    assert absent
    assert parse((way.document() or "").encode()).height > 0
    assert way.annotation(EPOCH) == "1"


async def test_while_paused_a_deleted_config_map_is_not_made_again(way: Way) -> None:
    await way.begin()
    pause(way.world.database, by="anna", reason="x", at=way.world.clock(), until=None)
    del way.api.kept[CONFIG_MAP]

    said = [line for _ in range(3) for line in await way.world.run(protect, after=INTERVAL)]

    assert CONFIG_MAP not in way.api.kept
    (line,) = [line for line in said if line.startswith("somebody else changed")]
    assert "→ gone" in line
    assert "; it waits: anna paused it" in line


async def test_in_a_dry_run_nothing_of_kubernetes_is_asked(way: Way) -> None:
    way.world.tree = {**way.world.tree, "mode": "dry-run"}

    await way.begin()

    assert way.api.asked == []


async def test_a_storm_of_edits_is_outlasted_and_none_of_them_is_lost(way: Way) -> None:
    await way.run(protect)
    way.edit(note="theirs")
    way.api.fates = [409, 409]

    said = await way.run(optimize)

    assert said[-1].startswith("revision 4 written"), "two of ours were overtaken"
    assert way.annotation("note") == "theirs"
    assert way.world.revisions() == [("found", "confirmed"), ("optimizer", "intended")]


async def test_a_storm_that_does_not_end_is_left_to_the_next_run(way: Way) -> None:
    await way.run(protect)
    way.api.fates = [409, 409, 409]

    with pytest.raises(Conflict):
        await way.run(optimize)
    said = await way.run(protect)

    assert any(line.startswith("revision 5 written") for line in said)


async def test_patience_that_is_asked_for_is_had(way: Way) -> None:
    await way.run(protect)
    way.api.retry_after = "60"
    way.api.refused = {"PATCH": 429}
    with pytest.raises(RetriableError):
        await way.run(optimize)
    way.api.refused = {}
    asked = len(way.api.asked)

    soon = await way.run(protect)
    later = await way.run(protect, after=60.0)

    refusal = "not published: the sink asked for patience until"
    assert [line for line in soon if line.startswith(refusal)]
    assert len([path for _, path in way.api.asked[asked:] if "configmaps" in path]) > 0
    assert any(line.startswith("revision 3 written") for line in later)


@pytest.mark.parametrize("status", [401, 403, 404, 422, 500])
async def test_what_kubernetes_refuses_changes_nothing_and_is_made_good_later(
    way: Way, status: int
) -> None:
    await way.run(protect)
    before = way.document()
    way.api.refused = {"PATCH": status}
    with pytest.raises(OptimizerError):
        await way.run(optimize)
    held = way.document()
    way.api.refused = {}

    said = await way.run(protect)

    assert held == before
    assert any(" written to " in line for line in said)


async def test_a_write_whose_answer_was_lost_counts_once(way: Way) -> None:
    await way.run(protect)
    way.api.fates = [504]
    said = await way.run(optimize)
    written = way.api.writes("configmaps")

    for _ in range(3):
        await way.run(protect)

    assert said[-1].startswith("revision 2 written")
    assert way.api.writes("configmaps") == written
    assert way.world.revisions()[-1] == ("optimizer", "confirmed")


async def test_the_annotation_pauses_everything(way: Way) -> None:
    await way.run(protect)
    way.edit(**{PAUSED: "upgrade of Mimir"})

    said = await way.run(optimize)
    paused = way.document()
    way.edit(**{PAUSED: "false"})
    later = await way.run(protect)

    (line,) = [line for line in said if line.startswith("not published")]
    assert f"the annotation {PAUSED} of the ConfigMap" in line
    assert "(upgrade of Mimir)" in line
    assert parse((paused or "").encode()).is_empty()
    assert any(" written to " in line for line in later)


async def test_another_writer_is_left_alone_until_it_is_gone(way: Way) -> None:
    theirs = {"holderIdentity": "pod-b", "leaseDurationSeconds": 3600, "leaseTransitions": 7}
    way.api.put(LEASE, spec=theirs)

    said = [line for flow in (protect, optimize, protect) for line in await way.run(flow)]
    stood_by = way.api.writes("configmaps")
    way.api.put(LEASE, spec={**theirs, "holderIdentity": ""})
    later = await way.run(protect)

    waits = [line for line in said if line.startswith("not published: pod-b writes there")]
    assert len(waits) == 1, "it is said once"
    assert stood_by == 0
    assert any(" written to " in line for line in later)
    assert way.annotation(EPOCH) == "8"


async def test_what_another_writer_left_is_taken_over_and_no_drift(way: Way) -> None:
    """It stood by, the other one wrote, and is gone now."""
    await way.begin()
    ours = way.document()
    way.api.put(LEASE, spec={"holderIdentity": "pod-b", "leaseTransitions": 7})
    theirs = "overrides:\n  steady-1:\n    ingestion_rate: 12345\n"
    way.api.kept[CONFIG_MAP]["data"][KEY] = theirs
    way.edit(**{EPOCH: "7"})
    way.world.restart()

    stood_by = [line for _ in range(2) for line in await way.run(protect)]
    way.api.put(LEASE, spec={"holderIdentity": "", "leaseTransitions": 7})
    took_over = await way.run(protect)

    assert ours != theirs
    assert not any("somebody else changed" in line for line in [*stood_by, *took_over])
    assert ("found", "confirmed") in way.world.revisions()[1:]
    assert way.annotation(EPOCH) == "8"


async def test_a_lease_that_was_deleted_makes_no_second_writer(way: Way) -> None:
    """Its count begins anew: what we left at the sink tells the other one from us."""
    await way.begin()
    del way.api.kept[LEASE]
    way.api.put(LEASE, spec={"holderIdentity": "pod-b", "leaseTransitions": 1})
    way.edit(**{EPOCH: "2"})
    before = way.document()

    await way.run(optimize)
    await way.run(protect)

    assert way.document() == before
    assert way.annotation(EPOCH) == "2"


async def test_a_writer_that_slept_cannot_write_what_it_had_read(way: Way) -> None:
    """Between our look and our write another one takes over, and leaves its epoch there."""
    await way.run(protect)

    def taken_over(method: str, path: str) -> None:
        if method != "PATCH" or path != CONFIG_MAP:
            return
        way.api.before = lambda _method, _path: None
        way.api.put(LEASE, spec={"holderIdentity": "pod-b", "leaseTransitions": 9})
        way.edit(**{EPOCH: "9"})

    way.api.before = taken_over
    said = await way.run(optimize)

    assert parse((way.document() or "").encode()).is_empty(), "nothing of ours was written"
    assert way.annotation(EPOCH) == "9"
    assert any("not published: pod-b writes there" in line for line in said)


async def test_a_process_that_ends_lets_the_next_one_write_at_once(way: Way) -> None:
    await way.begin()

    await asyncio.to_thread(release_pen, way.world.runtime)

    assert way.api.kept[LEASE]["spec"]["holderIdentity"] == ""


async def test_pods_are_touched_with_each_change_and_workloads_restarted_with_each_proof(
    way: Way,
) -> None:
    asked = {"triggerRollout": True, "rolloutComponents": ["mimir-querier"]}
    endpoints = list(way.world.settings().mimir.endpoints)
    way.world.tree = {
        **way.world.tree,
        "mimir": {**asked, "endpoints": endpoints},
        "publish": {"sink": "configmap", "touchPods": True},
    }
    template = {"spec": {"template": {}}}
    way.api.put(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/mimir-querier", **template)

    await way.run(protect)
    before = way.api.writes("deployments")
    said = await way.run(optimize)
    written = way.api.writes("deployments")
    confirmed = await way.run(protect)
    for _ in range(3):
        await way.run(protect)

    touched = [path for method, path in way.api.asked if method == "PATCH" and "/pods/" in path]
    assert len(touched) == len(endpoints)
    assert any("pods not touched" in line for line in said), "they are no pods"
    assert (before, written) == (0, 0)
    assert "mimir-querier is restarted for revision 2" in confirmed
    assert way.api.writes("deployments") == 1


async def test_in_place_the_loop_closes_and_theirs_stays(way: Way) -> None:
    """Their own file holds both; a rollback gives back exactly what stood there."""
    theirs = "# theirs\noverrides:\n  bursty-1:\n    ingestion_rate: 10000  # agreed\n"
    way.world.tree = {
        **way.world.tree,
        "publish": {"sink": "configmap-in-place", "configMap": {"key": KEY}},
    }
    way.api.put(CONFIG_MAP, data={KEY: theirs})

    await way.begin()
    published = way.document()
    written = way.api.writes("configmaps")
    for cycle in range(10):
        await way.run(optimize if cycle % 5 == 4 else protect)
    quiet = way.api.writes("configmaps")
    await rollback.fn(1, reason="a test", by="anna")  # type: ignore[misc]

    assert way.world.revisions()[:2] == [("found", "confirmed"), ("optimizer", "confirmed")]
    assert published is not None
    assert published != theirs
    assert "# agreed" in published
    assert quiet == written
    assert way.document() == theirs
