"""The operator's own ConfigMap, edited in place: our limits in their runtime file.

Which limits of the file are ours, what stood there before, and what we wrote, is kept in an entry
beside the file: both change in one patch, or neither does. Everything else in the file and in the
ConfigMap stays as it is, byte by byte, and what is withdrawn gives back what stood there. Where
somebody has changed a value of ours since, theirs is what stood there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Final

from policy.document import parse, render
from policy.errors import ConfigError, Conflict
from policy.frames import LIMITS, empty
from policy.operators_file import Claims, claimed, edited
from policy.room import CONFIG_MAP_BYTES
from tasks.config_map import ABSENT, ConfigMap, Kept, Place
from tasks.sinks.base import Published
from tasks.sinks.configmap import (
    ARRIVES_WITHIN,
    Compression,
    epoch_of,
    packed,
    pause_of,
    stamp,
    unpacked,
)

OURS: Final = "mimir-limit-optimizer.claims.json.gz"

_KIB: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """What of the file is ours, and the document that we wrote last."""

    claims: Claims
    document: bytes

    def to_json(self) -> str:
        """The same of ours gives the same bytes."""
        return json.dumps({"claims": self.claims.to_json(), "document": self.document.decode()})

    @staticmethod
    def from_json(text: str) -> Ours:
        """What `to_json` wrote.

        Raises:
            ConfigError: the text is something else.
        """
        try:
            told = json.loads(text)
            claims, document = str(told["claims"]), str(told["document"]).encode()
        except (ValueError, KeyError, TypeError):
            claims, document = "", b""
        return Ours(claims=Claims.from_json(claims), document=document)


NOTHING_OURS: Final = Ours(
    claims=Claims(before={}, tenants=frozenset()), document=render(empty(LIMITS))
)


class InPlaceSink:
    """Our limits in one entry of a ConfigMap that is not ours."""

    def __init__(self, place: Place, *, key: str, compression: Compression) -> None:
        """A sink over the operator's ConfigMap.

        Args:
            place: where it is.
            key: their entry in it, such as runtime.yaml; with gzip `.gz` is added.
            compression: how their entry is packed.
        """
        self._config_map = ConfigMap(place)
        self._is_packed = compression == "gzip"
        self._entry = f"{key}.gz" if self._is_packed else key
        self._kept: Kept | None = None

    @property
    def arrives_within(self) -> timedelta:
        """As for a ConfigMap of our own."""
        return ARRIVES_WITHIN

    def describe(self) -> str:
        """The ConfigMap and the entry."""
        return f"our limits in {self._entry} of {self._config_map.describe()}"

    def read(self) -> Published:
        """Our limits as they stand there now, as a document of their own.

        Raises:
            ConfigError: there is no such entry, we may not read it, or Mimir would refuse it.
            RetriableError: the API does not answer just now.
        """
        kept = self._config_map.read()
        document = _standing(self._text(kept), self._ours(kept).claims.to_json())
        self._kept = kept
        return Published(
            document=document,
            version=kept.version,
            epoch=epoch_of(kept.annotations),
            paused=pause_of(kept.annotations, at=self._config_map.describe()),
        )

    def write(self, document: bytes, *, if_version: str) -> str:
        """Put these limits in the place of ours, if the ConfigMap still is the one that was read.

        Raises:
            Conflict: somebody changed or removed it since.
            ConfigError: we may not write it, it is too large, or the file cannot be edited safely.
            RetriableError: it is not written, and may be the next time.
        """
        kept = self._as_read(if_version)
        text, ours = self._text(kept), self._ours(kept)
        new_text, claims = edited(text, claims=_still_ours(text, ours), wanted=parse(document))
        new = Ours(claims=claims, document=document)
        entry = {self._entry: packed(new_text.encode()) if self._is_packed else new_text}
        beside = {OURS: packed(new.to_json().encode())}
        self._refuse_large(kept, changed={**entry, **beside})
        written = self._config_map.change(
            if_version=if_version,
            arrived=lambda found: self._text(found) == new_text and self._ours(found) == new,
            data=None if self._is_packed else entry,
            binary_data={**entry, **beside} if self._is_packed else beside,
        )
        if self._text(written) != new_text:
            raise ConfigError(
                f"{self.describe()} does not hold what was written: something in the cluster, such "
                "as an admission webhook, changes it on its way"
            )
        return written.version

    def fence(self, epoch: int, *, if_version: str) -> str:
        """Leave our epoch in an annotation.

        Raises:
            Conflict: it changed since it was read.
            OptimizerError: as `write`.
        """
        return stamp(self._config_map, epoch, if_version=if_version)

    def _as_read(self, if_version: str) -> Kept:
        """The ConfigMap of this version.

        Raises:
            Conflict: it has another one by now.
        """
        kept = self._kept
        if kept is None or kept.version != if_version:
            kept = self._config_map.read()
        if kept.version != if_version:
            raise Conflict(
                f"{self._config_map.describe()} was changed by someone else since it was read; "
                "read it again and decide again"
            )
        return kept

    def _text(self, kept: Kept) -> str:
        if kept.version == ABSENT:
            raise ConfigError(
                f"{self._config_map.describe()} does not exist: name the operator's own in "
                "mimir.configMapName, or set publish.sink: configmap for one of ours"
            )
        where = kept.binary_data if self._is_packed else kept.data
        found = where.get(self._entry)
        if found is None:
            there = ", ".join(sorted(where)) or "nothing"
            raise ConfigError(
                f"{self._config_map.describe()} has no entry {self._entry}, but {there}: correct "
                "publish.configMap.key"
            )
        return unpacked(found, of=self.describe()).decode() if self._is_packed else found

    def _ours(self, kept: Kept) -> Ours:
        found = kept.binary_data.get(OURS)
        what = f"{OURS} of {self._config_map.describe()}"
        return Ours.from_json(unpacked(found, of=what).decode()) if found else NOTHING_OURS

    def _refuse_large(self, kept: Kept, *, changed: dict[str, str]) -> None:
        whole = {**kept.data, **kept.binary_data, **changed}
        size = sum(len(name) + len(value.encode()) for name, value in whole.items())
        if size > CONFIG_MAP_BYTES:
            raise ConfigError(
                f"{self._config_map.describe()} would take {size // _KIB} KiB with our limits, and "
                f"{CONFIG_MAP_BYTES // _KIB} KiB are the most: set publish.sink: configmap, which "
                "has one of its own"
            )


def _still_ours(text: str, ours: Ours) -> Claims:
    """The claims on what stands there as we wrote it; the rest is somebody else's by now."""
    wrote = parse(ours.document)
    changed = wrote.join(claimed(text, claims=ours.claims), on=LIMITS.names(), how="anti")
    return ours.claims.without(changed.select("tenant", "limit").rows())


# Reading the file is slow, and it is the same one at nearly every run.
@lru_cache(maxsize=2)
def _standing(text: str, claims: str) -> bytes:
    return render(claimed(text, claims=Claims.from_json(claims)))
