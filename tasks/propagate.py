"""Help what was published on its way through Kubernetes, only where that is asked for.

Touching a pod's annotation makes its kubelet refresh the volumes at once instead of within two
minutes. Restarting Deployments and StatefulSets is never needed: Mimir reloads its limits by
itself. Nothing here can fail a publication: what did not work is told in a line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from policy.errors import OptimizerError
from policy.settings import Settings
from tasks.kubernetes_client import (
    FORBIDDEN,
    MERGE_PATCH,
    NOT_FOUND,
    Answer,
    answered,
    api_client,
    raw,
    refused,
)
from tasks.retry import retry_policy
from tasks.step import step
from tasks.threads import threaded

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

REVISION: Final = "mimir-limit-optimizer/revision"
AT_ONCE: Final = 10


@step(
    name="touch-pods",
    task_run_name="touch {pods}",
    **retry_policy(retries=0, timeout_seconds=60),
)
@threaded
def touch_pods(pods: Sequence[str], *, revision: int, settings: Settings) -> list[str]:
    """Leave the number of the revision at each pod; gives what did not work, a line each.

    Args:
        pods: names; what is none, such as an address, is told.
        revision: that was written.
        settings: the cluster, and the namespace of Mimir's pods.
    """
    namespace = settings.metrics_discovery.namespace
    part = {"metadata": {"annotations": {REVISION: str(revision)}}}

    def touch(client: ApiClient, pod: str) -> Answer:
        from kubernetes.client import CoreV1Api  # noqa: PLC0415 - slow, in a cluster only

        api: Any = CoreV1Api(client)
        return answered(
            lambda: api.patch_namespaced_pod(
                pod, namespace, part, _content_type=MERGE_PATCH, **raw(settings.mimir.timeout)
            )
        )

    def problem(pod: str) -> str | None:
        return _problem(
            lambda client: touch(client, pod),
            settings=settings,
            what="a pod",
            right=f"patch on pods in namespace {namespace}",
        )

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = Counter(filter(None, pool.map(problem, pods)))
    return [
        f"{count} of {len(pods)} pods not touched, they have the limits in two minutes: {why}"
        for why, count in found.items()
    ]


@step(
    name="roll-out",
    task_run_name="roll out revision {revision}",
    **retry_policy(retries=0, timeout_seconds=60),
)
@threaded
def roll_out(*, revision: int, settings: Settings) -> list[str]:
    """Restart the workloads of `mimir.rolloutComponents`; gives a line each.

    Args:
        revision: that every process has confirmed.
        settings: which workloads, in the namespace of Mimir's pods.
    """
    if not settings.mimir.rollout_components:
        named = "mimir.triggerRollout is true and mimir.rolloutComponents names nothing"
        return [f"{named}: nothing is restarted, and nothing has to be"]
    namespace = settings.metrics_discovery.namespace
    annotations = {REVISION: str(revision)}
    part = {"spec": {"template": {"metadata": {"annotations": annotations}}}}

    def restart(client: ApiClient, name: str) -> Answer:
        from kubernetes.client import AppsV1Api  # noqa: PLC0415 - slow, in a cluster only

        api: Any = AppsV1Api(client)
        how = {"_content_type": MERGE_PATCH, **raw(settings.mimir.timeout)}
        found = answered(lambda: api.patch_namespaced_stateful_set(name, namespace, part, **how))
        if found.status != NOT_FOUND:
            return found
        return answered(lambda: api.patch_namespaced_deployment(name, namespace, part, **how))

    return [
        f"{name} is restarted for revision {revision}"
        if problem is None
        else f"{name} is not restarted for revision {revision}: {problem}"
        for name in settings.mimir.rollout_components
        for problem in [
            _problem(
                lambda client, name=name: restart(client, name),  # type: ignore[misc]
                settings=settings,
                what=f"the StatefulSet or Deployment {name}",
                right=f"patch on statefulsets and deployments in namespace {namespace}",
            )
        ]
    ]


def _problem(
    ask: Callable[[ApiClient], Answer], *, settings: Settings, what: str, right: str
) -> str | None:
    """Why it did not work; None where it did."""
    try:
        found = ask(api_client(settings.metrics_discovery.kubeconfig))
    except OptimizerError as refusal:
        return str(refusal)
    if found.is_success:
        return None
    if found.status == NOT_FOUND:
        return f"there is no such pod or workload (404): check metricsDiscovery.namespace, {what}"
    if found.status == FORBIDDEN:
        return f"the Kubernetes API does not let us (403): grant {right}"
    return str(refused(found, what=what, mend="check metricsDiscovery.namespace"))
