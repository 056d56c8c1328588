"""Ask the Kubernetes API which pods Mimir has.

One question: the list of the EndpointSlices of one namespace, so one right is needed, `list` on
`endpointslices` of `discovery.k8s.io` there. Nothing is watched, nothing is written. The official
client blocks, so it runs in a thread; it is made once per kubeconfig, because reading its
certificates costs more than the question.
"""

from __future__ import annotations

import asyncio
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import urllib3
from pydantic import ValidationError

from policy.errors import ConfigError, OptimizerError
from policy.settings.connection import MetricsDiscovery
from tasks.endpoint_slices import Discovered, DiscoveryError, SliceList, pods_of

if TYPE_CHECKING:
    from kubernetes.client import DiscoveryV1Api

_MOST_SHOWN: Final = 200  # characters of what the API says
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERROR: Final = 500


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
        raise DiscoveryError(_unreachable(reason)) from error
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
    from kubernetes.client import ApiException  # noqa: PLC0415 - slow, and needed in a cluster only

    try:
        answer = _api(discovery.kubeconfig).list_namespaced_endpoint_slice(
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


@cache
def _api(kubeconfig: Path | None) -> DiscoveryV1Api:
    """The client for a cluster; None is the one that we run in.

    Raises:
        ConfigError: there are no credentials to be had.
    """
    from kubernetes import client, config  # noqa: PLC0415 - slow, and needed in a cluster only

    # Prefect's task tries again; urllib3 would do so behind our time-out.
    configuration = client.Configuration(retries=0)
    try:
        if kubeconfig is None:
            config.load_incluster_config(  # type: ignore[no-untyped-call]
                client_configuration=configuration
            )
        else:
            config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=str(kubeconfig.expanduser()),
                client_configuration=configuration,
                persist_config=False,
            )
    except config.ConfigException as refusal:
        raise _no_credentials(kubeconfig, why=" ".join(str(refusal).split())) from None
    except Exception as error:  # noqa: BLE001 - it parses a file; its words may hold a secret
        raise _no_credentials(kubeconfig, why=type(error).__name__) from None
    return client.DiscoveryV1Api(client.ApiClient(configuration))


def _no_credentials(kubeconfig: Path | None, *, why: str) -> ConfigError:
    if kubeconfig is None:
        return ConfigError(
            f"this pod has no service account to ask Kubernetes with ({why.rstrip('.')}): give it "
            "one, or list Mimir's processes in mimir.endpoints"
        )
    return ConfigError(
        f"metricsDiscovery.kubeconfig {kubeconfig} cannot be used ({why.rstrip('.')}): correct it"
    )


def _refused(status: int, body: object, *, discovery: MetricsDiscovery) -> OptimizerError:
    """What the answer means, and the way out."""
    if status == _TOO_MANY_REQUESTS or status >= _SERVER_ERROR:
        return DiscoveryError(f"the Kubernetes API answered {status}: it is overloaded or starting")
    if status == _UNAUTHORIZED:
        _api.cache_clear()  # the credentials may have been replaced since
        return ConfigError(
            "the Kubernetes API does not know us (401): check the service account, or the "
            "credentials in metricsDiscovery.kubeconfig"
        )
    if status == _FORBIDDEN:
        return ConfigError(
            "the Kubernetes API does not let us find Mimir's pods (403): grant the verb list on "
            f"endpointslices of discovery.k8s.io in namespace {discovery.namespace}"
        )
    if status == _NOT_FOUND:
        return ConfigError(
            "the Kubernetes API has no EndpointSlices (404): discovery.k8s.io/v1 came with "
            "Kubernetes 1.21; list Mimir's processes in mimir.endpoints"
        )
    return ConfigError(
        f"the Kubernetes API refused the question ({status}{_said(body)}): check the keys of "
        "metricsDiscovery"
    )


def _said(body: object) -> str:
    """The message of a Status; nothing of any other body."""
    try:
        status = json.loads(body) if isinstance(body, str | bytes) else None
    except ValueError:
        return ""
    message = status.get("message") if isinstance(status, dict) else None
    return f", {' '.join(str(message).split())[:_MOST_SHOWN]}" if message else ""


def _unreachable(error: object) -> str:
    return (
        f"the Kubernetes API could not be reached ({type(error).__name__}): check the network "
        "policy, or the server in metricsDiscovery.kubeconfig"
    )
