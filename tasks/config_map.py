"""One ConfigMap: read it, make it, change parts of it while it still is what was read.

Every change is a merge patch that names the resourceVersion that was read, so an edit by anyone
else in between is a Conflict and nothing of theirs is lost. Where the answer to a change is lost,
the ConfigMap is read back: what stands there decides whether it was made. Nothing is done twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from policy.errors import ConfigError, Conflict, OptimizerError, RetriableError
from tasks.kubernetes_client import (
    CONFLICT,
    FORBIDDEN,
    MERGE_PATCH,
    NOT_FOUND,
    Answer,
    answered,
    api_client,
    overloaded,
    raw,
    refused,
)

if TYPE_CHECKING:
    from kubernetes.client import CoreV1Api

ABSENT: Final = "absent"
MANAGER: Final = "mimir-limit-optimizer"

WRITER: Final = "mimir-limit-optimizer/writer"
OURS: Final = {WRITER: MANAGER}

_LABELS: Final = {"app.kubernetes.io/managed-by": MANAGER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a ConfigMap is.

    Attributes:
        namespace: it is in.
        name: of it.
        kubeconfig: of the cluster; None is the one that we run in.
        timeout: the longest time for one answer.
        mend: the settings that name it, for people.
    """

    namespace: str
    name: str
    kubeconfig: Path | None
    timeout: timedelta
    mend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A ConfigMap as it was read; one that does not exist has the version "absent"."""

    version: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    binary_data: Mapping[str, str] = field(default_factory=dict)


class ConfigMap:
    """The ConfigMap at a place."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def describe(self) -> str:
        """Its namespace and name."""
        return f"the ConfigMap {self._place.namespace}/{self._place.name}"

    def read(self) -> Kept:
        """What it holds now.

        Raises:
            ConfigError: we may not read it.
            RetriableError: the API does not answer just now.
        """
        place = self._place
        found = self._asked(
            lambda api: api.read_namespaced_config_map(
                place.name, place.namespace, **raw(place.timeout)
            )
        )
        if found.status == NOT_FOUND:
            return Kept(version=ABSENT)
        self._check(found, verb="get")
        return _kept(found.body)

    def change(
        self,
        *,
        if_version: str,
        arrived: Callable[[Kept], bool],
        annotations: Mapping[str, str | None] | None = None,
        data: Mapping[str, str | None] | None = None,
        binary_data: Mapping[str, str | None] | None = None,
    ) -> Kept:
        """Set these entries, None takes one out; all others stay. Makes it where it was absent.

        Args:
            if_version: the version that was read.
            arrived: whether what is read back holds the change, where its answer was lost.
            annotations: of the ConfigMap.
            data: its text entries.
            binary_data: its other entries, in base64.

        Raises:
            Conflict: somebody changed, made or removed it since.
            ConfigError: we may not change it, or it is too large.
            RetriableError: it is not changed, and may be the next time.
        """
        part: dict[str, Any] = {"metadata": {"annotations": dict(annotations or {})}}
        part |= {"data": dict(data)} if data else {}
        part |= {"binaryData": dict(binary_data)} if binary_data else {}
        try:
            found = self._asked(lambda api: self._sent(api, part, if_version=if_version))
        except RetriableError as lost:
            return self._read_back(arrived, retry_after_seconds=lost.retry_after_seconds)
        if overloaded(found.status):
            return self._read_back(arrived, retry_after_seconds=found.retry_after_seconds)
        made = if_version == ABSENT
        if found.status == CONFLICT or (found.status == NOT_FOUND and not made):
            raise Conflict(
                f"{self.describe()} was changed by someone else since it was read; read it again "
                "and decide again"
            )
        self._check(found, verb="create" if made else "patch")
        return _kept(found.body)

    def _sent(self, api: CoreV1Api, part: dict[str, Any], *, if_version: str) -> object:
        place, how = self._place, {**raw(self._place.timeout), "field_manager": MANAGER}
        if if_version == ABSENT:
            about = {"name": place.name, "namespace": place.namespace, "labels": _LABELS}
            whole: Any = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                **part,
                "metadata": {**part["metadata"], **about},
            }
            return api.create_namespaced_config_map(place.namespace, whole, **how)
        told = {**part, "metadata": {**part["metadata"], "resourceVersion": if_version}}
        return api.patch_namespaced_config_map(
            place.name, place.namespace, told, _content_type=MERGE_PATCH, **how
        )

    def _read_back(
        self, arrived: Callable[[Kept], bool], *, retry_after_seconds: float | None
    ) -> Kept:
        """What is there, if the change whose answer was lost has arrived.

        Raises:
            RetriableError: it has not, as far as can be seen.
        """
        try:
            found = self.read()
        except RetriableError:
            found = None
        if found is None or not arrived(found):
            raise RetriableError(
                f"{self.describe()} was not written: the Kubernetes API did not answer; the next "
                "run looks again",
                retry_after_seconds=retry_after_seconds,
            )
        return found

    def _asked(self, ask: Callable[[CoreV1Api], object]) -> Answer:
        from kubernetes.client import CoreV1Api  # noqa: PLC0415 - slow, and in a cluster only

        return answered(lambda: ask(CoreV1Api(api_client(self._place.kubeconfig))))

    def _check(self, found: Answer, *, verb: str) -> None:
        """Refuse every answer that is not a success.

        Raises:
            ConfigError: asking again is useless.
            RetriableError: the API asks for patience.
        """
        if not found.is_success:
            raise self._refusal(found, verb=verb)

    def _refusal(self, found: Answer, *, verb: str) -> OptimizerError:
        place = self._place
        if found.status == FORBIDDEN:
            return ConfigError(
                f"the Kubernetes API does not let us {verb} the ConfigMap {place.name} (403): "
                f"grant get, create and patch on configmaps in namespace {place.namespace}"
            )
        if found.status == NOT_FOUND:
            return ConfigError(
                f"there is no namespace {place.namespace} (404): make it, or correct {place.mend}"
            )
        return refused(found, what=f"the ConfigMap {place.name}", mend=f"check {place.mend}")


def is_ours(kept: Kept) -> bool:
    """Whether we made it, or have written to it."""
    return kept.annotations.get(WRITER) == MANAGER


def _kept(body: bytes) -> Kept:
    try:
        found = json.loads(body)
        return Kept(
            version=str(found["metadata"]["resourceVersion"]),
            annotations=dict(found["metadata"].get("annotations") or {}),
            data=dict(found.get("data") or {}),
            binary_data=dict(found.get("binaryData") or {}),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            "the Kubernetes API answered something that is no ConfigMap: is a proxy in between?"
        ) from None
