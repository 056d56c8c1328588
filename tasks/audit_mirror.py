"""A ConfigMap of its own that mirrors the newest audit entries, as JSON lines.

Only our key is touched, by a merge patch that names the resourceVersion that was read. What holds
the key and is not ours is left alone. An edit in between is looked at anew, once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from policy.errors import ConfigError, Conflict, OptimizerError, RetriableError
from policy.settings import Settings
from tasks.kubernetes_client import (
    CONFLICT,
    FORBIDDEN,
    NOT_FOUND,
    UNAUTHORIZED,
    asked,
    overloaded,
    said,
    unauthorized,
)

if TYPE_CHECKING:
    from kubernetes.client import CoreV1Api

KEY: Final = "audit.jsonl"
MOST_BYTES: Final = 900 * 1024  # of the 1 MiB that a ConfigMap may have in all

_MANAGER: Final = "mimir-limit-optimizer"
_LABELS: Final = {"app.kubernetes.io/managed-by": _MANAGER}
_WRITER: Final = "mimir-limit-optimizer/writer"
_OURS: Final = {"annotations": {_WRITER: _MANAGER}}
_MERGE_PATCH: Final = "application/merge-patch+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """Where the ConfigMap is.

    Attributes:
        namespace: of Mimir.
        name: of the ConfigMap.
        kubeconfig: of the cluster; None is the one that we run in.
        timeout: the longest time for one answer.
    """

    namespace: str
    name: str
    kubeconfig: Path | None
    timeout: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the ConfigMap holds; `version` None: there is none."""

    document: str | None
    version: str | None


def mirror_of(settings: Settings) -> Mirror:
    """The mirror that the settings name."""
    return Mirror(
        namespace=settings.mimir.namespace,
        name=settings.audit_log.config_map.name,
        kubeconfig=settings.metrics_discovery.kubeconfig,
        timeout=settings.mimir.timeout,
    )


def fitting(lines: Iterable[str]) -> str:
    """As many of the lines as fit, the newest given first; in the document it is the last."""
    kept: list[str] = []
    size = 0
    for line in lines:
        needed = len(line.encode()) + 1
        if needed > MOST_BYTES:
            continue  # it is in the history, and would hide all the others here
        size += needed
        if size > MOST_BYTES:
            break
        kept.append(f"{line}\n")
    return "".join(reversed(kept))


def put(document: str, *, mirror: Mirror) -> None:
    """Make the ConfigMap hold the document; where it does, nothing is written.

    Raises:
        Conflict: it was changed twice while we looked.
        ConfigError: we may not read or write it, or what is there is not ours.
        RetriableError: the API does not answer just now.
    """
    for _ in range(2):
        held = _read(mirror)
        if held.document == document or _written(document, held=held, mirror=mirror):
            return
    raise Conflict(
        f"the ConfigMap {mirror.namespace}/{mirror.name} is changed by someone else all the time: "
        "leave it to the audit log, or name another one in auditLog.configMap.name"
    )


def _read(mirror: Mirror) -> Held:
    status, body = _asked(
        lambda api: api.read_namespaced_config_map(mirror.name, mirror.namespace, **_raw(mirror)),
        mirror=mirror,
    )
    if status == NOT_FOUND:
        return Held(document=None, version=None)
    _refuse(status, body, mirror=mirror, verb="get")
    try:
        found = json.loads(body)
        version = str(found["metadata"]["resourceVersion"])
        ours = (found["metadata"].get("annotations") or {}).get(_WRITER) == _MANAGER
        document = (found.get("data") or {}).get(KEY)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            "the Kubernetes API answered something that is no ConfigMap: is a proxy in between?"
        ) from None
    if document and not ours:
        raise ConfigError(
            f"{KEY} of the ConfigMap {mirror.namespace}/{mirror.name} was not written by us and is "
            "left alone: name another one in auditLog.configMap.name"
        )
    return Held(document=document, version=version)


def _written(document: str, *, held: Held, mirror: Mirror) -> bool:
    """False where somebody changed, made or removed it since."""
    status, body = _asked(lambda api: _sent(api, document, held=held, mirror=mirror), mirror=mirror)
    made = held.version is None
    if status == CONFLICT or (status == NOT_FOUND and not made):
        return False
    _refuse(status, body, mirror=mirror, verb="create" if made else "patch")
    return True


def _sent(api: CoreV1Api, document: str, *, held: Held, mirror: Mirror) -> object:
    how: dict[str, Any] = {**_raw(mirror), "field_manager": _MANAGER}
    data = {"data": {KEY: document}}
    if held.version is None:
        metadata = {
            "name": mirror.name,
            "namespace": mirror.namespace,
            **_OURS,
            "labels": _LABELS,
        }
        whole: Any = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **data}
        return api.create_namespaced_config_map(mirror.namespace, whole, **how)
    part = {"metadata": {"resourceVersion": held.version, **_OURS}, **data}
    return api.patch_namespaced_config_map(
        mirror.name, mirror.namespace, part, _content_type=_MERGE_PATCH, **how
    )


def _raw(mirror: Mirror) -> dict[str, Any]:
    return {"_preload_content": False, "_request_timeout": mirror.timeout.total_seconds()}


def _asked(ask: Callable[[CoreV1Api], object], *, mirror: Mirror) -> tuple[int, bytes]:
    return asked(ask, kubeconfig=mirror.kubeconfig)


def _refuse(status: int, body: bytes, *, mirror: Mirror, verb: str) -> None:
    """Refuse every answer that is not a success.

    Raises:
        ConfigError: asking again is useless.
        RetriableError: the API asks for patience.
    """
    if not 200 <= status < 300:  # noqa: PLR2004 - success
        raise _refusal(status, body, mirror=mirror, verb=verb)


def _refusal(status: int, body: bytes, *, mirror: Mirror, verb: str) -> OptimizerError:
    if overloaded(status):
        return RetriableError(f"the Kubernetes API answered {status}: it is overloaded or starting")
    if status == UNAUTHORIZED:
        return unauthorized()
    if status == FORBIDDEN:
        return ConfigError(
            f"the Kubernetes API does not let us {verb} the ConfigMap {mirror.name} (403): grant "
            f"get, create and patch on configmaps in namespace {mirror.namespace}"
        )
    if status == NOT_FOUND:
        return ConfigError(
            f"there is no namespace {mirror.namespace} (404): set mimir.namespace to the one that "
            "Mimir runs in"
        )
    return ConfigError(
        f"the Kubernetes API refused the ConfigMap {mirror.name} ({status}{said(body)}): check "
        "auditLog.configMap"
    )
