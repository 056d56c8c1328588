"""The runtime of a run that may happen in another process than the resident one.

In a work pool of Prefect each run has a process of its own. It reads the settings as `mlo` does,
from MLO_CONFIG and the environment, and reaches the history that the resident process serves. It
has no sink: what publishes asks for `flows.runtime.current`, which refuses it there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from flows.resuming import resume
from flows.runtime import Runtime, current, is_installed
from flows.vitals import Vitals
from policy.errors import ConfigError
from policy.settings import Settings
from storage.origin import refuse_other_kind
from storage.served import ServedHistory
from tasks.settings import SettingsSource
from tasks.telemetry import Telemetry


@contextmanager
def runtime_anywhere() -> Iterator[Runtime]:
    """The runtime of the resident process when in it, else one of this run alone.

    Raises:
        ConfigError: the settings cannot be used, or name no served history.
        StorageError: the history cannot be reached, or is of another kind or release.
    """
    if is_installed():
        yield current()
        return
    named = os.environ.get("MLO_CONFIG")
    source = SettingsSource(Path(named) if named else None, os.environ)
    settings = source.current()
    with _reached(settings) as database:
        simulated = settings.synthetic.enabled
        refuse_other_kind(database, simulated=simulated)
        runtime = Runtime(
            settings=source.current,
            database=database,
            clock=_now,
            telemetry=Telemetry(CollectorRegistry()),
            vitals=Vitals(born_at=_now()),
            simulated=simulated,
        )
        resume(runtime, settings)
        yield runtime


def _reached(settings: Settings) -> ServedHistory:
    url = settings.storage.url
    if not url.startswith("quack:"):
        raise ConfigError(
            f"storage.url {url} is a file, which only `mlo up` may open: in a worker's environment "
            "set MLO_STORAGE__URL=quack:host:port, its storage.listen, and MLO_STORAGE_TOKEN"
        )
    return ServedHistory.reach(url)


def _now() -> datetime:
    return datetime.now(UTC)
