"""The Roles of the chart permit what the program asks of Kubernetes, and nothing else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from kmock import RawHandler
from ruamel.yaml import YAML

from deployments.checks.permissions import rights
from flows.auditing import MIRRORED_EVERY
from flows.optimize import optimize
from flows.protect import protect
from policy.errors import OptimizerError
from policy.settings import parse_settings
from tasks.config_map import ABSENT, ConfigMap, Place
from tasks.discover import discover, forget
from tasks.kubernetes_client import api_client
from tasks.pod_list import list_pods
from tests.fake_kubernetes import FakeKubernetes, kubeconfig
from tests.helm.rendering import NAMESPACE, Object, Rendered, given, render

pytestmark = pytest.mark.kmock(cls=RawHandler)

VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch"}
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
CONFIG_MAPS = "/api/v1/namespaces/mimir/configmaps"
PATH = re.compile(r"/apis?/(?:([\w.]+)/)?v1/namespaces/([\w-]+)/(\w+)(?:/(.+))?")

NewWorld = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Right:
    namespace: str
    group: str
    resource: str
    verb: str
    name: str  # "" is any


@pytest.fixture(autouse=True)
def _new_clients() -> Iterator[None]:
    api_client.cache_clear()
    forget()
    yield
    api_client.cache_clear()
    forget()


@pytest.fixture
def api(kmock: RawHandler) -> FakeKubernetes:
    return FakeKubernetes(kmock)


@dataclass
class Cluster:
    """Kubernetes as the chart and its operator leave it, and the program in it."""

    api: FakeKubernetes
    new_world: NewWorld
    kubeconfig: Path

    async def asked(self, rendered: Rendered) -> set[Right]:
        """What the program asks in some minutes with the settings of the chart."""
        for lease in rendered.all("Lease"):
            where = f"/apis/coordination.k8s.io/v1/namespaces/{lease['metadata']['namespace']}"
            self.api.put(f"{where}/leases/{lease['metadata']['name']}", metadata=lease["metadata"])
        tree = self._tree(rendered)
        settings = parse_settings(tree)
        with pytest.raises(OptimizerError):  # there are no slices here
            await discover(settings, clock=lambda: NOON)
        await list_pods(settings, clock=lambda: NOON)
        await self._work(tree)
        return {right_of(method, path) for method, path in self.api.asked}

    async def _work(self, tree: Object) -> None:
        """The loop, with a simulated Mimir in the place of the one that Kubernetes tells of."""
        world = self.new_world(past=tree.get("mode") == "prod")
        tree.pop("server")
        tree["mimir"] = {**tree.get("mimir", {}), **world_endpoints(world)}
        world.tree = tree
        for flow in (protect, optimize, protect):
            if (text := self._document(tree)) is not None:
                world.file.write_text(text)
            await world.run(flow, after=MIRRORED_EVERY.total_seconds())

    def _document(self, tree: Object) -> str | None:
        name = tree.get("mimir", {}).get("configMapName", "mimir-runtime-overrides")
        kept = self.api.kept.get(f"{CONFIG_MAPS}/{name}", {})
        found: str | None = kept.get("data", {}).get("overrides.yaml")
        return found

    def _tree(self, rendered: Rendered) -> Object:
        config = rendered.one("ConfigMap", "mimir-limit-optimizer-config")["data"]["config.yaml"]
        tree: Object = YAML(typ="safe", pure=True).load(config)
        tree["metricsDiscovery"]["kubeconfig"] = str(self.kubeconfig)
        return tree


def world_endpoints(world: Any) -> Object:  # noqa: ANN401 - of conftest
    return {"endpoints": list(world.settings().mimir.endpoints)}


@pytest.fixture
def cluster(new_world: NewWorld, api: FakeKubernetes, kmock: RawHandler, tmp_path: Path) -> Cluster:
    # The world first, so that it ends last: nobody waits for a Kubernetes that is gone.
    return Cluster(api, new_world, kubeconfig(tmp_path, str(kmock.url)))


def right_of(method: str, path: str) -> Right:
    match = PATH.fullmatch(path)
    assert match, path
    group, namespace, resource, name = match.groups("")
    verb = "list" if method == "GET" and not name else VERBS[method]
    return Right(namespace, group, resource, verb, name)


def granted(rendered: Rendered) -> set[Right]:
    """What the account of the pod may do."""
    bound = {
        (binding["metadata"]["namespace"], binding["roleRef"]["name"])
        for binding in rendered.all("RoleBinding")
        for subject in binding["subjects"]
        if subject["namespace"] == NAMESPACE
        and subject["name"] == rendered.pod()["spec"]["serviceAccountName"]
    }
    return {
        Right(role["metadata"]["namespace"], group, resource, verb, name)
        for role in rendered.all("Role")
        if (role["metadata"]["namespace"], role["metadata"]["name"]) in bound
        for rule in role["rules"]
        for group, resource, verb, name in product(
            rule["apiGroups"], rule["resources"], rule["verbs"], rule.get("resourceNames", [""])
        )
    }


def without_name(right: Right) -> Right:
    return Right(right.namespace, right.group, right.resource, right.verb, "")


def denied(asked: set[Right], grants: set[Right]) -> set[Right]:
    return {right for right in asked if right not in grants and without_name(right) not in grants}


def unused(asked: set[Right], grants: set[Right]) -> set[Right]:
    used = asked | {without_name(right) for right in asked}
    return {grant for grant in grants if grant not in used}


WHERE = "mimir.namespace=mimir,mimir.configMapName=limits"
EVERYTHING = (
    "controller.mode=prod,publish.touchPods=true,auditLog.storageType=configmap,"
    "mimir.triggerRollout=true,mimir.rolloutComponents={mimir-querier,mimir-ruler}"
)


async def test_a_dry_run_only_lists(cluster: Cluster) -> None:
    rendered = render(given(WHERE))
    asked = await cluster.asked(rendered)

    assert {right.verb for right in granted(rendered)} == {"list"}
    assert denied(asked, granted(rendered)) == set()
    assert unused(asked, granted(rendered)) == set()


async def test_publishing_needs_what_is_granted_and_no_more(cluster: Cluster) -> None:
    rendered = render(given(WHERE, EVERYTHING))
    cluster.api.put(f"{CONFIG_MAPS}/limits", data={"overrides.yaml": "overrides: {}\n"})
    cluster.api.put(f"{CONFIG_MAPS}/mimir-limit-optimizer-audit", data={})
    cluster.api.put("/apis/apps/v1/namespaces/mimir/statefulsets/mimir-ruler", data={})

    asked = await cluster.asked(rendered)

    assert denied(asked, granted(rendered)) == set()
    left = unused(asked, granted(rendered))
    # A component is a StatefulSet or a Deployment; which, only Kubernetes knows.
    assert {(right.resource, right.name) for right in left} == {("deployments", "mimir-ruler")}
    # The Lease that the chart makes is taken, so that none need be made.
    lease = "/apis/coordination.k8s.io/v1/namespaces/mimir/leases/mimir-limit-optimizer"
    assert cluster.api.kept[lease]["spec"]["leaseTransitions"] == 1


def test_publishing_alone_is_granted_less_than_with_everything_turned_on() -> None:
    alone, all_ = render(given(WHERE, "mode=prod")), render(given(WHERE, EVERYTHING))

    assert granted(render(given(WHERE))) < granted(alone) < granted(all_)


async def test_a_config_map_that_is_not_there_is_made_where_that_is_granted(
    cluster: Cluster,
) -> None:
    rendered = render(given(WHERE, "mode=prod,rbac.createConfigMap=true"))
    place = Place(
        namespace="mimir",
        name="limits",
        kubeconfig=cluster.kubeconfig,
        timeout=timedelta(seconds=5),
        mend="",
    )

    made = ConfigMap(place).change
    await asyncio.to_thread(made, if_version=ABSENT, arrived=lambda _: True, data={"a": "b"})

    asked = {right_of(method, path) for method, path in cluster.api.asked}
    assert {right.verb for right in asked} == {"create"}
    assert denied(asked, granted(rendered)) == set()
    assert denied(asked, granted(render(given(WHERE, "mode=prod")))) == asked


@pytest.mark.parametrize(
    "more",
    [
        "controller.mode=prod",
        EVERYTHING,
        "controller.mode=Production,publish.sink=configmap-in-place,publish.lease.name=w",
        "controller.mode=prod,publish.sink=file",
        "controller.mode=prod,mimir.config_map_name=other,metricsDiscovery.namespace=pods",
        "",
    ],
)
def test_what_the_doctor_asks_for_is_granted(more: str) -> None:
    where = WHERE if "config_map_name" not in more else "mimir.namespace=mimir"
    rendered = render(given(where, *([more] if more else [])))
    config = rendered.one("ConfigMap", "mimir-limit-optimizer-config")["data"]["config.yaml"]
    settings = parse_settings(YAML(typ="safe", pure=True).load(config))

    needed = {
        Right(each.namespace, each.group, each.resource, each.verb, each.name)
        for each in rights(settings)
    }

    assert denied(needed, granted(rendered)) == set()


@pytest.mark.parametrize(
    "more",
    [
        "synthetic.enabled=true,controller.mode=prod",
        "mimir.endpoints={http://mimir:8080},publish.sink=http,controller.mode=prod",
        "metricsDiscovery.enabled=false",
    ],
)
def test_where_kubernetes_is_not_asked_the_pod_has_no_token_and_no_rights(more: str) -> None:
    rendered = render(given(more))

    assert granted(rendered) == set()
    assert rendered.pod()["spec"]["automountServiceAccountToken"] is False


def test_a_prometheus_as_the_source_needs_no_list_of_pods() -> None:
    rendered = render(given("metricsSource=promql"))

    assert {right.resource for right in granted(rendered)} == {"endpointslices"}


def test_nothing_is_granted_where_somebody_else_does_that() -> None:
    rendered = render(given("rbac.create=false,controller.mode=prod"))

    assert rendered.all("Role") == []
    assert rendered.pod()["spec"]["automountServiceAccountToken"] is True
