"""List Mimir's pods in Kubernetes, for what only their objects tell: limits, restarts, kills.

One list of one namespace, so one right is needed, `list` on `pods` there; without it nothing of
this is known, and everything else goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from policy.errors import OptimizerError
from policy.pod_resources import CONTAINERS_SEEN
from policy.settings import Settings
from tasks.kubernetes_client import FORBIDDEN, answered, api_client, raw, refused
from tasks.retry import retry_policy
from tasks.step import step
from tasks.threads import threaded

OOM: Final = "OOMKilled"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PodList:
    """What the list told.

    Attributes:
        containers: CONTAINERS_SEEN; None where there was no answer.
        unknown: why there was none.
    """

    containers: pl.DataFrame | None
    unknown: str | None = None


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, hide_input_in_errors=True)


class _Resources(_Part):
    limits: dict[str, str] | None = None


class _Container(_Part):
    name: str
    resources: _Resources = Field(default_factory=_Resources)


class _Ended(_Part):
    reason: str | None = None
    finished_at: AwareDatetime | None = None


class _State(_Part):
    terminated: _Ended | None = None


class _ContainerStatus(_Part):
    name: str
    restart_count: int
    last_state: _State = Field(default_factory=_State)


class _Metadata(_Part):
    name: str
    uid: str


class _Spec(_Part):
    containers: list[_Container]


class _Status(_Part):
    container_statuses: list[_ContainerStatus] | None = None


class _Pod(_Part):
    metadata: _Metadata
    spec: _Spec
    status: _Status = Field(default_factory=_Status)


class _PodList(_Part):
    items: list[_Pod] | None = None


@step(
    name="list-pods",
    task_run_name="list the pods of Mimir",
    **retry_policy(retries=0, timeout_seconds=60),
)
@threaded
def list_pods(settings: Settings, *, clock: Callable[[], datetime]) -> PodList:
    """The containers in the namespace of Mimir, as a step of a flow."""
    return pod_list(settings, clock=clock)


def pod_list(settings: Settings, *, clock: Callable[[], datetime]) -> PodList:
    """The containers in the namespace of Mimir, as the API server's cache knows them.

    Args:
        settings: the cluster, and the namespace of Mimir's pods.
        clock: aware UTC.
    """
    discovery = settings.metrics_discovery
    try:
        body = _listed(settings)
        found = _PodList.model_validate_json(body).items or []
    except OptimizerError as refusal:
        return PodList(containers=None, unknown=str(refusal))
    except ValidationError:
        told = "the Kubernetes API answered something that is no PodList: is a proxy in between?"
        return PodList(containers=None, unknown=told)
    rows = list(_rows(found, at=clock()))
    if not rows:
        return PodList(
            containers=None,
            unknown=f"no pod is in namespace {discovery.namespace}: set metricsDiscovery.namespace",
        )
    return PodList(containers=pl.DataFrame(rows, schema=CONTAINERS_SEEN, orient="row"))


def _listed(settings: Settings) -> bytes:
    from kubernetes.client import CoreV1Api  # noqa: PLC0415 - slow, and in a cluster only

    discovery = settings.metrics_discovery
    api: Any = CoreV1Api(api_client(discovery.kubeconfig))
    found = answered(
        lambda: api.list_namespaced_pod(
            discovery.namespace,
            resource_version="0",  # from the API server's cache: cheap for the cluster
            **raw(settings.mimir.timeout),
        )
    )
    if found.status == FORBIDDEN:
        raise OptimizerError(
            "the Kubernetes API does not let us list pods (403): grant the verb list on pods in "
            f"namespace {discovery.namespace}, else the limits of containers, their restarts and "
            "kills for want of memory stay unknown"
        )
    if not found.is_success:
        raise refused(found, what="the list of pods", mend="check metricsDiscovery.namespace")
    return found.body


def _rows(pods: list[_Pod], *, at: datetime) -> Iterator[tuple[object, ...]]:
    """One row of CONTAINERS_SEEN for each container."""
    for pod in pods:
        statuses = {one.name: one for one in pod.status.container_statuses or ()}
        for container in pod.spec.containers:
            limits = container.resources.limits or {}
            status = statuses.get(container.name)
            ended = status.last_state.terminated if status else None
            yield (
                at,
                pod.metadata.name,
                pod.metadata.uid,
                container.name,
                _quantity(limits.get("memory")),
                _quantity(limits.get("cpu")),
                status.restart_count if status else None,
                status and (ended is not None and ended.reason == OOM),
                ended.finished_at if ended else None,
            )


def _quantity(text: str | None) -> float | None:
    """Bytes of `8Gi`, cores of `500m`; None where there is none, or it is none that we know."""
    from kubernetes.utils.quantity import parse_quantity  # noqa: PLC0415 - as above

    try:
        return None if text is None else float(parse_quantity(text))  # type: ignore[no-untyped-call]
    except ValueError:
        return None
