"""How large a document may be, by where it is published."""

from __future__ import annotations

from typing import Final

from policy.settings.connection import Publish

CONFIG_MAP_BYTES: Final = 900 * 1024  # a ConfigMap ends at 1 MiB, its own fields included
# Packed, our documents shrink to a tenth. This leaves room for odd ones, and the sink has the last
# word.
_PACKS: Final = 6


def most_bytes(publish: Publish) -> int | None:
    """The largest document that there is room for; None: any fits.

    A ConfigMap that is the operator's holds theirs too: only its sink can tell.
    """
    if publish.sink != "configmap":
        return None
    packed = publish.config_map.compression == "gzip"
    return CONFIG_MAP_BYTES * _PACKS if packed else CONFIG_MAP_BYTES
