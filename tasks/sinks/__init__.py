"""Build the sink that the settings name, or none at all.

In `dry-run` nothing that could write is ever constructed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from policy.settings import Settings
from tasks.sinks.base import Published, Sink
from tasks.sinks.file import FileSink
from tasks.sinks.git import GitSink
from tasks.sinks.git_program import Git

if TYPE_CHECKING:
    from tasks.config_map import Place

__all__ = ["DRY_RUN", "PROD", "SINKS", "FileSink", "Published", "Sink", "build_sink"]

DRY_RUN: Final = "dry-run"
PROD: Final = "prod"


def _file(settings: Settings) -> Sink:
    return FileSink(settings.publish.file.path)


def _http(settings: Settings) -> Sink:
    # Our endpoint serves it from there, whatever else stands still.
    path = settings.publish.file.path
    return FileSink(path, name=f"the document that is served over HTTP from {path}")


def _configmap(settings: Settings) -> Sink:
    from tasks.sinks.configmap import ConfigMapSink  # noqa: PLC0415 - it imports urllib3

    chosen = settings.publish.config_map
    return ConfigMapSink(_place(settings), key=chosen.key, compression=chosen.compression)


def _in_place(settings: Settings) -> Sink:
    from tasks.sinks.configmap_in_place import InPlaceSink  # noqa: PLC0415 - it imports urllib3

    chosen = settings.publish.config_map
    return InPlaceSink(_place(settings), key=chosen.key, compression=chosen.compression)


def _place(settings: Settings) -> Place:
    from tasks.config_map import Place  # noqa: PLC0415 - it imports urllib3

    mimir = settings.mimir
    return Place(
        namespace=mimir.namespace,
        name=mimir.config_map_name,
        kubeconfig=settings.metrics_discovery.kubeconfig,
        timeout=mimir.timeout,
        mend="mimir.namespace and mimir.configMapName",
    )


def _cortex_api(settings: Settings) -> Sink:
    from tasks.sinks.cortex_api import cortex_api_sink  # noqa: PLC0415 - it imports httpx

    return cortex_api_sink(settings)


def _git(settings: Settings) -> Sink:
    chosen = settings.publish.git
    git = Git(chosen.repository, author=chosen.author, email=chosen.email)
    return GitSink(chosen, git=git)


SINKS: Final[Mapping[str, Callable[[Settings], Sink]]] = {
    "file": _file,
    "configmap": _configmap,
    "configmap-in-place": _in_place,
    "http": _http,
    "cortex-api": _cortex_api,
    "git": _git,
}


def build_sink(
    settings: Settings, *, kinds: Mapping[str, Callable[[Settings], Sink]] = SINKS
) -> Sink | None:
    """The sink of `publish.sink`; None in dry-run, where none is built.

    Args:
        settings: mode, kind, and where it writes.
        kinds: how each kind is built.

    Raises:
        ConfigError: what it needs is missing.
    """
    if settings.mode == DRY_RUN:
        return None
    return kinds[settings.publish.sink](settings)
