"""A ConfigMap of its own that mirrors the newest audit entries, as JSON lines.

Only our key is touched. What holds the key and is not ours is left alone. An edit in between is
looked at anew, once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from policy.errors import ConfigError, Conflict
from policy.room import CONFIG_MAP_BYTES
from policy.settings import Settings
from tasks.config_map import OURS, ConfigMap, Place, is_ours

KEY: Final = "audit.jsonl"


def mirror_of(settings: Settings) -> Place:
    """The place that the settings name."""
    return Place(
        namespace=settings.mimir.namespace,
        name=settings.audit_log.config_map.name,
        kubeconfig=settings.metrics_discovery.kubeconfig,
        timeout=settings.mimir.timeout,
        mend="mimir.namespace and auditLog.configMap",
    )


def fitting(lines: Iterable[str]) -> str:
    """As many of the lines as fit, the newest given first; in the document it is the last."""
    kept: list[str] = []
    size = 0
    for line in lines:
        needed = len(line.encode()) + 1
        if needed > CONFIG_MAP_BYTES:
            continue  # it is in the history, and would hide all the others here
        size += needed
        if size > CONFIG_MAP_BYTES:
            break
        kept.append(f"{line}\n")
    return "".join(reversed(kept))


def put(document: str, *, mirror: Place) -> None:
    """Make the ConfigMap hold the document; where it does, nothing is written.

    Raises:
        Conflict: it was changed twice while we looked.
        ConfigError: we may not read or write it, or what is there is not ours.
        RetriableError: the API does not answer just now.
    """
    config_map = ConfigMap(mirror)
    try:
        _put_once(document, config_map=config_map)
    except Conflict:
        _put_once(document, config_map=config_map)


def _put_once(document: str, *, config_map: ConfigMap) -> None:
    kept = config_map.read()
    there = kept.data.get(KEY)
    if there and not is_ours(kept):
        raise ConfigError(
            f"{KEY} of {config_map.describe()} was not written by us and is left alone: name "
            "another one in auditLog.configMap.name"
        )
    if there != document:
        config_map.change(
            if_version=kept.version,
            arrived=lambda found: found.data.get(KEY) == document,
            annotations=OURS,
            data={KEY: document},
        )
