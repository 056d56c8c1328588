"""Which right to write goes with the sink of the settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from socket import gethostname
from time import monotonic
from typing import Final

from policy.settings import Settings
from tasks.writer import LockedFile, Writer

IN_KUBERNETES: Final = ("configmap", "configmap-in-place")
_RUNS: Final = 3  # protect runs in which it must be renewed once


def build_writer(settings: Settings, *, identity: str, clock: Callable[[], datetime]) -> Writer:
    """The writer of `publish.sink`; nothing is asked or locked yet.

    Args:
        settings: what is written, and where.
        identity: the name of our history; only one process can have it open at a time.
        clock: aware UTC.
    """
    if settings.publish.sink not in IN_KUBERNETES:
        return LockedFile(_lock_of(settings))
    from tasks.config_map import Place  # noqa: PLC0415 - it imports urllib3
    from tasks.lease import Lease  # noqa: PLC0415 - as above

    chosen = settings.publish.lease
    place = Place(
        namespace=settings.mimir.namespace,
        name=chosen.name,
        kubeconfig=settings.metrics_discovery.kubeconfig,
        timeout=settings.mimir.timeout,
        mend="mimir.namespace and publish.lease.name",
    )
    return Lease(
        place,
        # A copy of a history that runs elsewhere is another process.
        identity=f"{gethostname()}_{identity}",
        duration=max(chosen.duration, _RUNS * settings.protect_interval),
        clock=clock,
        monotonic=monotonic,
    )


def _lock_of(settings: Settings) -> Path:
    """A file beside what is written, so that two that write there find the same."""
    publish = settings.publish
    match publish.sink:
        case "cortex-api":
            path = publish.cortex_api.state
        case "git":
            branch = publish.git.branch.replace("/", "-")
            return _git_folder(publish.git.repository) / f"mimir-limit-optimizer.{branch}.writer"
        case _:
            path = publish.file.path.resolve()
    return path.with_name(f".{path.name}.writer")


def _git_folder(repository: Path) -> Path:
    """Where Git keeps what is not tracked, in a clone, a work tree, or a bare repository."""
    inside = repository.absolute() / ".git"
    if inside.is_file():
        told = Path(inside.read_text(encoding="utf-8").removeprefix("gitdir:").strip())
        return inside.parent / told  # as it is, where it is absolute
    return inside if inside.is_dir() else repository.absolute()
