"""Build the sink that the settings name, or none at all.

In `dry-run` nothing that could write is ever constructed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from policy.errors import ConfigError
from tasks.sinks.base import Published, Sink
from tasks.sinks.file import FileSink

__all__ = ["DRY_RUN", "PROD", "SINKS", "FileSink", "Published", "Sink", "SinkOptions", "build_sink"]

DRY_RUN: Final = "dry-run"
PROD: Final = "prod"


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkOptions:
    """Where a sink writes; each kind takes what it needs and misses the rest."""

    path: Path | None = None
    """The runtime file, for the kind `file`."""


def _file(options: SinkOptions) -> Sink:
    if options.path is None:
        raise ConfigError("the sink 'file' needs the path of the runtime file")
    return FileSink(options.path)


SINKS: Final[Mapping[str, Callable[[SinkOptions], Sink]]] = {"file": _file}


def build_sink(
    kind: str,
    *,
    mode: str,
    options: SinkOptions,
    kinds: Mapping[str, Callable[[SinkOptions], Sink]] = SINKS,
) -> Sink | None:
    """The sink of this kind; None in dry-run, where none is built.

    Args:
        kind: one of `kinds`.
        mode: `dry-run` or `prod`; nothing else is taken for either.
        options: where it writes.
        kinds: how each kind is built.

    Raises:
        ConfigError: an unknown mode or kind, or the kind misses an option.
    """
    if mode not in {DRY_RUN, PROD}:
        raise ConfigError(f"the mode {mode!r} is unknown; choose {DRY_RUN} or {PROD}")
    if mode == DRY_RUN:
        return None
    if kind not in kinds:
        raise ConfigError(
            f"publish.sink: {kind} does not exist in this version; "
            f"choose {', '.join(sorted(kinds))}, or mode dry-run"
        )
    return kinds[kind](options)
