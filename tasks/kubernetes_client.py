"""The official Kubernetes client: made once per kubeconfig, its answers read raw.

Reading its certificates costs more than a question. Nothing is retried behind our time-outs: the
steps of the flows do that. What it refuses becomes one sentence without a secret.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import urllib3

from policy.errors import ConfigError, OptimizerError, RetriableError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
CONFLICT: Final = 409
TOO_MANY_REQUESTS: Final = 429
SERVER_ERROR: Final = 500

MERGE_PATCH: Final = "application/merge-patch+json"

_MOST_SHOWN: Final = 200  # characters of what the API says


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of the API; `retry_after_seconds` is what it asked for, or None."""

    status: int
    body: bytes
    retry_after_seconds: float | None = None

    @property
    def is_success(self) -> bool:
        """Whether it did what was asked."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's classes


def raw(timeout: timedelta) -> dict[str, Any]:
    """The arguments of the client's methods for an answer that is read by ourselves.

    Its own models refuse some of what Kubernetes writes, such as null for an empty list.
    """
    return {"_preload_content": False, "_request_timeout": timeout.total_seconds()}


def answered(ask: Callable[[], object]) -> Answer:
    """The answer to one request, whatever its status.

    Args:
        ask: sends it with the arguments of `raw`.

    Raises:
        ConfigError: there are no credentials.
        RetriableError: there was no whole answer.
    """
    from kubernetes.client import ApiException  # noqa: PLC0415 - slow, and in a cluster only

    try:
        found: Any = ask()
        return Answer(status=int(found.status), body=bytes(found.data))
    except ApiException as refusal:
        body = refusal.body or b""
        return Answer(
            status=refusal.status or 0,
            body=body.encode() if isinstance(body, str) else bytes(body),
            retry_after_seconds=_seconds((refusal.headers or {}).get("Retry-After")),
        )
    except urllib3.exceptions.HTTPError as error:
        raise RetriableError(unreachable(getattr(error, "reason", error))) from error


def refused(found: Answer, *, what: str, mend: str) -> OptimizerError:
    """What an answer means that is no success, where nothing more is known of it."""
    if overloaded(found.status):
        return RetriableError(
            f"the Kubernetes API answered {found.status}: it is overloaded or starting",
            retry_after_seconds=found.retry_after_seconds,
        )
    if found.status == UNAUTHORIZED:
        return unauthorized()
    return ConfigError(
        f"the Kubernetes API refused {what} ({found.status}{said(found.body)}): {mend}"
    )


@cache
def api_client(kubeconfig: Path | None) -> ApiClient:
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
    return client.ApiClient(configuration)


def overloaded(status: int) -> bool:
    """Whether the answer asks for patience, so that the same question may be answered later."""
    return status == TOO_MANY_REQUESTS or status >= SERVER_ERROR


def unauthorized() -> ConfigError:
    """What a 401 means; the credentials are read anew then, as they may have been replaced."""
    api_client.cache_clear()
    return ConfigError(
        "the Kubernetes API does not know us (401): check the service account, or the "
        "credentials in metricsDiscovery.kubeconfig"
    )


def unreachable(error: object) -> str:
    """Why there was no answer at all, and the way out."""
    return (
        f"the Kubernetes API could not be reached ({type(error).__name__}): check the network "
        "policy, or the server in metricsDiscovery.kubeconfig"
    )


def said(body: object) -> str:
    """The message of a Status, after a comma; nothing of any other body."""
    try:
        status = json.loads(body) if isinstance(body, str | bytes) else None
    except ValueError:
        return ""
    message = status.get("message") if isinstance(status, dict) else None
    return f", {' '.join(str(message).split())[:_MOST_SHOWN]}" if message else ""


def _seconds(told: str | None) -> float | None:
    """A Retry-After in seconds; Kubernetes sends no dates."""
    try:
        seconds = float(told) if told else None
    except ValueError:
        return None
    return max(0.0, seconds) if seconds is not None and isfinite(seconds) else None


def _no_credentials(kubeconfig: Path | None, *, why: str) -> ConfigError:
    if kubeconfig is None:
        return ConfigError(
            f"this pod has no service account to ask Kubernetes with ({why.rstrip('.')}): give it "
            "one, set metricsDiscovery.kubeconfig, or do without: list Mimir's processes in "
            "mimir.endpoints, and choose another publish.sink"
        )
    return ConfigError(
        f"metricsDiscovery.kubeconfig {kubeconfig} cannot be used ({why.rstrip('.')}): correct it"
    )
