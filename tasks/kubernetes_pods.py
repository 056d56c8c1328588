"""Ask the Kubernetes API which pods Mimir has.

One question: the list of the EndpointSlices of one namespace, so one right is needed, `list` on
`endpointslices` of `discovery.k8s.io` there. Nothing is watched, nothing is written. The official
client blocks, so it runs in a thread; it is made once per kubeconfig, because reading its
certificates costs more than the question.
"""

from __future__ import annotations

import asyncio

import urllib3
from pydantic import ValidationError

from policy.errors import ConfigError, OptimizerError
from policy.settings.connection import MetricsDiscovery
from tasks.endpoint_slices import Discovered, DiscoveryError, SliceList, pods_of
from tasks.kubernetes_client import (
    FORBIDDEN,
    NOT_FOUND,
    UNAUTHORIZED,
    api_client,
    overloaded,
    said,
    unauthorized,
    unreachable,
)


async def kubernetes_pods(discovery: MetricsDiscovery, *, timeout_seconds: float) -> Discovered:
    """The pods of Mimir in the cluster that the settings name.

    Args:
        discovery: where and what to look for.
        timeout_seconds: longest time for the answer.

    Raises:
        ConfigError: no credentials, a right is missing, or nothing of that name is there.
        DiscoveryError: the API did not answer, or Mimir has no pods just now.
    """
    late = f"the Kubernetes API did not answer within {timeout_seconds:g} s"
    try:
        async with asyncio.timeout(timeout_seconds):
            body = await asyncio.to_thread(_listed, discovery, timeout_seconds=timeout_seconds)
    except TimeoutError:
        raise DiscoveryError(late) from None
    except urllib3.exceptions.HTTPError as error:
        reason = getattr(error, "reason", error)
        # That nobody listens is a kind of time-out to urllib3.
        reached = not isinstance(reason, urllib3.exceptions.NewConnectionError)
        if reached and isinstance(reason, urllib3.exceptions.TimeoutError):
            raise DiscoveryError(late) from None
        raise DiscoveryError(unreachable(reason)) from error
    try:
        slices = SliceList.model_validate_json(body).items or []
    except ValidationError:
        raise ConfigError(
            "the Kubernetes API answered something that is no EndpointSliceList: is a proxy in "
            "between?"
        ) from None
    return pods_of(slices, discovery=discovery)


def _listed(discovery: MetricsDiscovery, *, timeout_seconds: float) -> bytes:
    """The body of the API's answer, read whole.

    The client's own models refuse the null that Kubernetes writes for an empty list.
    """
    from kubernetes.client import (  # noqa: PLC0415 - slow, and needed in a cluster only
        ApiException,
        DiscoveryV1Api,
    )

    try:
        answer = DiscoveryV1Api(api_client(discovery.kubeconfig)).list_namespaced_endpoint_slice(
            discovery.namespace,
            label_selector=discovery.service_label_selector.strip() or None,
            resource_version="0",  # from the API server's cache: cheap for the cluster
            _preload_content=False,
            _request_timeout=timeout_seconds,
        )
        body: bytes = answer.data  # type: ignore[attr-defined] # urllib3's response, not a model
        status: int = answer.status  # type: ignore[attr-defined] # as above
    except ApiException as refusal:
        raise _refused(refusal.status or 0, refusal.body, discovery=discovery) from None
    if not 200 <= status < 300:  # noqa: PLR2004 - success
        raise _refused(status, body, discovery=discovery)
    return body


def _refused(status: int, body: object, *, discovery: MetricsDiscovery) -> OptimizerError:
    """What the answer means, and the way out."""
    if overloaded(status):
        return DiscoveryError(f"the Kubernetes API answered {status}: it is overloaded or starting")
    if status == UNAUTHORIZED:
        return unauthorized()
    if status == FORBIDDEN:
        return ConfigError(
            "the Kubernetes API does not let us find Mimir's pods (403): grant the verb list on "
            f"endpointslices of discovery.k8s.io in namespace {discovery.namespace}"
        )
    if status == NOT_FOUND:
        return ConfigError(
            "the Kubernetes API has no EndpointSlices (404): discovery.k8s.io/v1 came with "
            "Kubernetes 1.21; list Mimir's processes in mimir.endpoints"
        )
    return ConfigError(
        f"the Kubernetes API refused the question ({status}{said(body)}): check the keys of "
        "metricsDiscovery"
    )
