"""What we have published and what still stands, without asking the resident process.

In `prod` that is the sink's document. In `dry-run` nothing of ours stands, unless the history is
that of a simulation: then it is the document that the simulated Mimir reads.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from policy.document import parse
from policy.errors import ConfigError
from policy.frames import LIMITS, empty
from policy.settings import Settings
from storage import reading
from tasks.sinks import PROD, FileSink, Sink, SinkOptions, build_sink


def standing_limits(settings: Settings) -> pl.DataFrame:
    """The LIMITS of the document that we published last; empty where there is none.

    Raises:
        ConfigError: the sink cannot be read, or holds what is not ours.
        StorageError: the history cannot be reached.
    """
    sink = _sink(settings)
    document = None if sink is None else sink.read().document
    if sink is None or document is None or not document.strip():
        return empty(LIMITS)
    try:
        return parse(document)
    except ConfigError as refusal:
        raise ConfigError(
            f"{sink.describe()} holds a document that we did not write ({refusal}); "
            "point publish at a file of its own, which Mimir merges last"
        ) from refusal


def _sink(settings: Settings) -> Sink | None:
    if settings.mode == PROD and not settings.synthetic.enabled:
        options = SinkOptions(path=settings.publish.file.path)
        return build_sink(settings.publish.sink, mode=PROD, options=options)
    simulated = _simulated_sink(settings.storage.url)
    written_to = reading.newest_sink(settings.storage.url)
    return simulated if simulated and simulated.describe() == written_to else None


def _simulated_sink(url: str) -> FileSink | None:
    """The one that `mlo up --simulate` publishes to, beside the history."""
    if url.startswith("quack:"):
        return None
    from deployments.simulation import Simulation  # noqa: PLC0415 - slow, and rarely needed

    folder = Path(url).parent / "simulator"
    simulation = Simulation(port=0, folder=folder, tenants=0)
    return FileSink(simulation.overrides) if folder.is_dir() else None
