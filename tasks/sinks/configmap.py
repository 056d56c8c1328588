"""A ConfigMap of our own, mounted into every Mimir process and merged last.

Only our key is touched. A ConfigMap in which somebody else wrote limits under that key is left
alone.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Literal

from policy.document import parse
from policy.errors import ConfigError
from policy.room import CONFIG_MAP_BYTES
from tasks.config_map import ABSENT, OURS, ConfigMap, Kept, Place, is_ours
from tasks.sinks.base import Published

EPOCH: Final = "mimir-limit-optimizer/epoch"
_PAUSED: Final = "mimir-limit-optimizer/paused"
# The kubelet refreshes a volume within two minutes, and Mimir looks every ten seconds.
ARRIVES_WITHIN: Final = timedelta(minutes=3)
_KIB: Final = 1024

Compression = Literal["plain", "gzip"]


class ConfigMapSink:
    """One key of one ConfigMap; its version is the resourceVersion, or "absent"."""

    def __init__(self, place: Place, *, key: str, compression: Compression) -> None:
        """A sink over a ConfigMap.

        Args:
            place: where it is.
            key: our entry in it, the name of the file that Mimir sees; with gzip `.gz` is added.
            compression: how the document is packed.
        """
        self._config_map = ConfigMap(place)
        self._compression = compression
        self._epoch: int | None = None
        self._entry = f"{key}.gz" if compression == "gzip" else key

    @property
    def arrives_within(self) -> timedelta:
        """The kubelet's two minutes, Mimir's ten seconds, and some to be slow."""
        return ARRIVES_WITHIN

    def describe(self) -> str:
        """The ConfigMap and its key."""
        return f"{self._entry} of {self._config_map.describe()}"

    def read(self) -> Published:
        """The document; `document` is None where the ConfigMap, or its key, is not there.

        Raises:
            ConfigError: we may not read it, or the key holds no document of ours.
            RetriableError: the API does not answer just now.
        """
        return self._published(self._config_map.read())

    def write(self, document: bytes, *, if_version: str) -> str:
        """Put the document under the key, if the ConfigMap still is the one that was read.

        Raises:
            Conflict: somebody changed, made or removed it since.
            ConfigError: we may not write it, or it is too large.
            RetriableError: it is not written, and may be the next time.
        """
        packed = self._compression == "gzip"
        entry = {self._entry: self._packed(document)}
        kept = self._config_map.change(
            if_version=if_version,
            arrived=lambda found: self._document(found) == document,
            annotations=OURS | ({EPOCH: str(self._epoch)} if self._epoch else {}),
            data=None if packed else entry,
            binary_data=entry if packed else None,
        )
        if self._document(kept) != document:
            raise ConfigError(
                f"{self.describe()} does not hold what was written: something in the cluster, such "
                "as an admission webhook, changes it on its way"
            )
        return kept.version

    def fence(self, epoch: int, *, if_version: str) -> str:
        """Leave our epoch there; an absent ConfigMap gets it with the first document.

        Raises:
            Conflict: it changed since it was read.
            OptimizerError: as `write`.
        """
        self._epoch = epoch
        if if_version == ABSENT:  # an empty one would drop what the pods still have
            return ABSENT
        return stamp(self._config_map, epoch, if_version=if_version)

    def _packed(self, document: bytes) -> str:
        """The document as an entry of a ConfigMap.

        Raises:
            ConfigError: it is too large.
        """
        if self._compression == "plain":
            self._refuse_large(len(document), way_out="set publish.configMap.compression: gzip")
            return document.decode()
        text = packed(document)
        self._refuse_large(len(text), way_out="choose another publish.sink")
        return text

    def _refuse_large(self, size: int, *, way_out: str) -> None:
        if size > CONFIG_MAP_BYTES:
            raise ConfigError(
                f"the document takes {size // _KIB} KiB, and {CONFIG_MAP_BYTES // _KIB} KiB are "
                f"the most that fit in a ConfigMap: {way_out}"
            )

    def _document(self, kept: Kept) -> bytes | None:
        text, small = kept.data.get(self._entry), kept.binary_data.get(self._entry)
        if text is not None:
            return text.encode()
        return unpacked(small, of=self.describe()) if small else None

    def _published(self, kept: Kept) -> Published:
        document = self._document(kept)
        if document is not None and not is_ours(kept) and _says_something(document):
            raise ConfigError(
                f"{self.describe()} holds limits that we did not write: it is left alone; set "
                "mimir.configMapName or publish.configMap.key to one of our own, which Mimir "
                "merges last, or publish.sink: configmap-in-place to edit theirs"
            )
        return Published(
            document=document,
            version=kept.version,
            epoch=epoch_of(kept.annotations),
            paused=pause_of(kept.annotations, at=self._config_map.describe()),
        )


def stamp(config_map: ConfigMap, epoch: int, *, if_version: str) -> str:
    """Write the epoch beside the document, and nothing else; gives the version that it makes.

    Raises:
        Conflict: it changed since it was read.
        OptimizerError: it cannot be written.
    """
    kept = config_map.change(
        if_version=if_version,
        arrived=lambda found: epoch_of(found.annotations) == epoch,
        annotations={EPOCH: str(epoch)},
    )
    return kept.version


def epoch_of(annotations: Mapping[str, str]) -> int:
    """The epoch of the writer who was the last to come; 0 where none has."""
    told = annotations.get(EPOCH, "")
    return int(told) if told.isdecimal() else 0


def pause_of(annotations: Mapping[str, str], *, at: str) -> str | None:
    """Why nothing may be written there; None where nobody said so."""
    told = annotations.get(_PAUSED, "").strip()
    if told.lower() in {"", "false"}:
        return None
    why = "" if told.lower() == "true" else f" ({told})"
    return f"the annotation {_PAUSED} of {at} says so{why}"


def packed(document: bytes) -> str:
    """The document as base64 of gzip; the same document gives the same text."""
    return base64.b64encode(gzip.compress(document, mtime=0)).decode()


def unpacked(text: str, *, of: str) -> bytes:
    """The document that was packed.

    Raises:
        ConfigError: it is no gzip.
    """
    try:
        return gzip.decompress(base64.b64decode(text))
    except (OSError, EOFError, zlib.error, binascii.Error):
        raise ConfigError(
            f"{of} is no gzip: it is left alone; name another key in publish.configMap.key"
        ) from None


def _says_something(document: bytes) -> bool:
    """Whether it holds limits; a chart may have made it without any, for Mimir to start with."""
    try:
        return not parse(document).is_empty()
    except ConfigError:
        return True
