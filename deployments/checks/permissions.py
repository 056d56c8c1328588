"""Check the rights that publishing to Kubernetes needs, by asking the API itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from deployments.checks.check import Check, failed, ok, skipped
from policy.errors import OptimizerError
from policy.settings import Settings
from tasks.kubernetes_client import answered, api_client, raw, refused
from tasks.sinks import PROD
from tasks.writers import IN_KUBERNETES

NAME: Final = "kubernetes rights"


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """One verb on one kind of object; `name` '' is any of them."""

    verb: str
    resource: str
    namespace: str
    name: str = ""
    group: str = ""

    def __str__(self) -> str:
        """`patch configmaps/mimir-limits in mimir`."""
        object_ = f"{self.resource}/{self.name}" if self.name else self.resource
        return f"{self.verb} {object_} in {self.namespace}"


def rights(settings: Settings) -> Iterator[Right]:
    """Every right that the settings need for publishing; nothing in a dry run."""
    publish, mimir = settings.publish, settings.mimir
    pods = settings.metrics_discovery.namespace
    if settings.mode != PROD:
        return
    if publish.sink in IN_KUBERNETES:
        for verb in ("get", "patch"):
            yield Right(
                verb=verb,
                resource="configmaps",
                name=mimir.config_map_name,
                namespace=mimir.namespace,
            )
        for verb in ("get", "update"):
            yield Right(
                verb=verb,
                resource="leases",
                group="coordination.k8s.io",
                name=publish.lease.name,
                namespace=mimir.namespace,
            )
        if publish.touch_pods:
            yield Right(verb="patch", resource="pods", namespace=pods)
    if mimir.trigger_rollout:
        for name in mimir.rollout_components:
            for resource in ("statefulsets", "deployments"):
                yield Right(
                    verb="patch", resource=resource, group="apps", name=name, namespace=pods
                )


async def check_permissions(settings: Settings) -> list[Check]:
    """Whether we have them all; no check where none is needed."""
    needed = list(rights(settings))
    if not needed:
        return []
    try:
        held = await asyncio.gather(
            *(asyncio.to_thread(_is_allowed, right, settings=settings) for right in needed)
        )
    except OptimizerError as refusal:
        return [skipped(NAME, f"they cannot be asked for: {refusal}")]
    missing = [str(right) for right, allowed in zip(needed, held, strict=True) if not allowed]
    if not missing:
        return [ok(NAME, f"all {len(needed)} that publishing needs are granted")]
    mend = "grant them by a Role; docs/sinks.md has it whole"
    return [failed(NAME, f"not granted: {', '.join(missing)}", mend=mend)]


def _is_allowed(right: Right, *, settings: Settings) -> bool:
    from kubernetes.client import AuthorizationV1Api  # noqa: PLC0415 - slow, in a cluster only

    asked = {
        "verb": right.verb,
        "group": right.group,
        "resource": right.resource,
        "namespace": right.namespace,
        "name": right.name,
    }
    review: Any = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    client = api_client(settings.metrics_discovery.kubeconfig)
    found = answered(
        lambda: AuthorizationV1Api(client).create_self_subject_access_review(
            review, **raw(settings.mimir.timeout)
        )
    )
    if not found.is_success:
        raise refused(found, what="the question for our rights", mend="look at its log")
    return bool(json.loads(found.body).get("status", {}).get("allowed"))
