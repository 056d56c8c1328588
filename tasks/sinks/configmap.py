"""A ConfigMap of our own, mounted into every Mimir process and merged last.

Only our key is touched, by a merge patch that names the resourceVersion that was read, so an edit
by anyone else in between is a Conflict and nothing of theirs is lost. Where the answer to a write
is lost, the ConfigMap is read back: what stands there decides whether it was written. Nothing is
written twice.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import urllib3

from policy.document import parse
from policy.errors import ConfigError, Conflict, OptimizerError, RetriableError
from tasks.kubernetes_client import (
    CONFLICT,
    FORBIDDEN,
    NOT_FOUND,
    UNAUTHORIZED,
    api_client,
    overloaded,
    said,
    unauthorized,
    unreachable,
)
from tasks.sinks.base import Published

if TYPE_CHECKING:
    from kubernetes.client import CoreV1Api

ABSENT: Final = "absent"
MANAGER: Final = "mimir-limit-optimizer"
MOST_BYTES: Final = 900 * 1024  # of the 1 MiB that a ConfigMap may have in all

_LABELS: Final = {"app.kubernetes.io/managed-by": MANAGER}
_WRITER: Final = "mimir-limit-optimizer/writer"
_OURS: Final = {"annotations": {_WRITER: MANAGER}}
_MERGE_PATCH: Final = "application/merge-patch+json"
# The kubelet refreshes a volume within two minutes, and Mimir looks every ten seconds.
_ARRIVES_WITHIN: Final = timedelta(minutes=3)
_KIB: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the document is.

    Attributes:
        namespace: of Mimir.
        name: of the ConfigMap.
        key: in it, the name of the file that Mimir sees; with gzip `.gz` is added to it.
        compression: how the document is packed.
        kubeconfig: of the cluster; None is the one that we run in.
        timeout: the longest time for one answer.
    """

    namespace: str
    name: str
    key: str
    compression: Literal["plain", "gzip"]
    kubeconfig: Path | None
    timeout: timedelta


class ConfigMapSink:
    """One key of one ConfigMap; its version is the resourceVersion, or "absent"."""

    def __init__(self, place: Place) -> None:
        self._place = place

    @property
    def arrives_within(self) -> timedelta:
        """The kubelet's two minutes, Mimir's ten seconds, and some to be slow."""
        return _ARRIVES_WITHIN

    def describe(self) -> str:
        """The ConfigMap and its key."""
        place = self._place
        return f"{self._entry} of the ConfigMap {place.namespace}/{place.name}"

    def read(self) -> Published:
        """The document; `document` is None where the ConfigMap, or its key, is not there.

        Raises:
            ConfigError: we may not read it, or the key holds no document.
            RetriableError: the API does not answer just now.
        """
        status, body = self._asked(
            lambda api: api.read_namespaced_config_map(
                self._place.name, self._place.namespace, **self._raw
            )
        )
        if status == NOT_FOUND:
            return Published(document=None, version=ABSENT)
        self._check(status, body, verb="get")
        return self._published(body)

    def write(self, document: bytes, *, if_version: str) -> str:
        """Put the document under the key, if the ConfigMap still is the one that was read.

        Raises:
            Conflict: somebody changed, made or removed it since.
            ConfigError: we may not write it, or it is too large.
            RetriableError: it is not written, and may be the next time.
        """
        packed = self._packed(document)
        try:
            status, body = self._asked(lambda api: self._sent(api, packed, if_version=if_version))
        except RetriableError:
            return self._read_back(document)
        if overloaded(status):
            return self._read_back(document)
        made = if_version == ABSENT
        if status == CONFLICT or (status == NOT_FOUND and not made):
            raise Conflict(
                f"{self.describe()} was changed by someone else since it was read; read it again "
                "and decide again"
            )
        self._check(status, body, verb="create" if made else "patch")
        written = self._published(body)
        if written.document != document:
            raise ConfigError(
                f"{self.describe()} does not hold what was written: something in the cluster, such "
                "as an admission webhook, changes it on its way"
            )
        return written.version

    @property
    def _entry(self) -> str:
        gzipped = self._place.compression == "gzip"
        return f"{self._place.key}.gz" if gzipped else self._place.key

    @property
    def _raw(self) -> dict[str, Any]:
        seconds = self._place.timeout.total_seconds()
        return {"_preload_content": False, "_request_timeout": seconds}

    def _sent(self, api: CoreV1Api, packed: dict[str, object], *, if_version: str) -> object:
        place, how = self._place, {**self._raw, "field_manager": MANAGER}
        if if_version == ABSENT:
            metadata = {
                "name": place.name,
                "namespace": place.namespace,
                **_OURS,
                "labels": _LABELS,
            }
            whole: Any = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **packed}
            return api.create_namespaced_config_map(place.namespace, whole, **how)
        part = {"metadata": {"resourceVersion": if_version, **_OURS}, **packed}
        return api.patch_namespaced_config_map(
            place.name, place.namespace, part, _content_type=_MERGE_PATCH, **how
        )

    def _packed(self, document: bytes) -> dict[str, object]:
        """The part of a ConfigMap that holds the document.

        Raises:
            ConfigError: it is too large.
        """
        if self._place.compression == "plain":
            self._refuse_large(len(document), way_out="set publish.configMap.compression: gzip")
            return {"data": {self._entry: document.decode()}}
        small = gzip.compress(document, mtime=0)  # no time in it: the same document, the same bytes
        text = base64.b64encode(small).decode()
        self._refuse_large(len(text), way_out="choose another publish.sink")
        return {"binaryData": {self._entry: text}}

    def _refuse_large(self, size: int, *, way_out: str) -> None:
        if size > MOST_BYTES:
            raise ConfigError(
                f"the document takes {size // _KIB} KiB, and {MOST_BYTES // _KIB} KiB are the most "
                f"that fit in a ConfigMap: {way_out}"
            )

    def _published(self, body: bytes) -> Published:
        try:
            found = json.loads(body)
            version = str(found["metadata"]["resourceVersion"])
            ours = (found["metadata"].get("annotations") or {}).get(_WRITER) == MANAGER
            text = (found.get("data") or {}).get(self._entry)
            packed = (found.get("binaryData") or {}).get(self._entry)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ConfigError(
                "the Kubernetes API answered something that is no ConfigMap: is a proxy in between?"
            ) from None
        try:
            document = gzip.decompress(base64.b64decode(packed)) if packed else None
        except (OSError, EOFError, zlib.error, binascii.Error):
            raise ConfigError(
                f"{self.describe()} is no gzip: it is left alone; name another key in "
                "publish.configMap.key"
            ) from None
        if text is not None:
            document = str(text).encode()
        if document is not None and not ours and _says_something(document):
            raise ConfigError(
                f"{self.describe()} holds limits that we did not write: it is left alone; set "
                "mimir.configMapName or publish.configMap.key to one of our own, which Mimir "
                "merges last"
            )
        return Published(document=document, version=version)

    def _read_back(self, document: bytes) -> str:
        """The version that is there, if the write whose answer was lost has arrived.

        Raises:
            RetriableError: it has not, as far as can be seen.
        """
        try:
            found = self.read()
        except RetriableError:
            found = None
        if found is None or found.document != document:
            raise RetriableError(
                f"{self.describe()} was not written: the Kubernetes API did not answer; the next "
                "run looks again"
            )
        return found.version

    def _asked(self, ask: Callable[[CoreV1Api], object]) -> tuple[int, bytes]:
        """Status and body of one answer.

        Raises:
            ConfigError: there are no credentials.
            RetriableError: there was no whole answer.
        """
        from kubernetes.client import (  # noqa: PLC0415 - slow, and needed in a cluster only
            ApiException,
            CoreV1Api,
        )

        try:
            answer: Any = ask(CoreV1Api(api_client(self._place.kubeconfig)))
            return int(answer.status), bytes(answer.data)
        except ApiException as refusal:
            body = refusal.body or b""
            return refusal.status or 0, body.encode() if isinstance(body, str) else bytes(body)
        except urllib3.exceptions.HTTPError as error:
            reason = getattr(error, "reason", error)
            raise RetriableError(unreachable(reason)) from error

    def _check(self, status: int, body: bytes, *, verb: str) -> None:
        """Refuse every answer that is not a success.

        Raises:
            ConfigError: asking again is useless.
            RetriableError: the API asks for patience.
        """
        if 200 <= status < 300:  # noqa: PLR2004 - success
            return
        raise self._refusal(status, body, verb=verb)

    def _refusal(self, status: int, body: bytes, *, verb: str) -> OptimizerError:
        place = self._place
        if overloaded(status):
            return RetriableError(
                f"the Kubernetes API answered {status}: it is overloaded or starting"
            )
        if status == UNAUTHORIZED:
            return unauthorized()
        if status == FORBIDDEN:
            return ConfigError(
                f"the Kubernetes API does not let us {verb} the ConfigMap {place.name} (403): "
                f"grant get, create and patch on configmaps in namespace {place.namespace}"
            )
        if status == NOT_FOUND:
            return ConfigError(
                f"there is no namespace {place.namespace} (404): set mimir.namespace to the one "
                "that Mimir runs in"
            )
        return ConfigError(
            f"the Kubernetes API refused the ConfigMap {place.name} ({status}{said(body)}): check "
            "mimir.configMapName and publish.configMap"
        )


def _says_something(document: bytes) -> bool:
    """Whether it holds limits; a chart may have made it without any, for Mimir to start with."""
    try:
        return not parse(document).is_empty()
    except ConfigError:
        return True
