"""What we have published and what still stands, without asking the resident process.

In `prod` that is the sink's document; otherwise, as in the flows, the document that was written
last and not taken back.
"""

from __future__ import annotations

import polars as pl

from policy.document import parse
from policy.errors import ConfigError
from policy.frames import LIMITS, empty
from policy.settings import Settings
from storage import reading
from storage.database import Database
from tasks.sinks import PROD, build_sink


def standing_limits(settings: Settings, *, where: str | Database | None = None) -> pl.DataFrame:
    """The LIMITS of the document that we published last; empty where there is none.

    Args:
        settings: where it is published.
        where: the history; None: as the settings name it.

    Raises:
        ConfigError: the sink cannot be read, or holds what is not ours.
        StorageError: the history cannot be reached.
    """
    if settings.mode != PROD or settings.synthetic.enabled:
        return _parsed(reading.last_document(where or settings.storage.url), where="the history")
    sink = build_sink(settings)
    if sink is None:
        return empty(LIMITS)
    return _parsed(sink.read().document, where=sink.describe())


def _parsed(document: bytes | None, *, where: str) -> pl.DataFrame:
    if document is None or not document.strip():
        return empty(LIMITS)
    try:
        return parse(document)
    except ConfigError as refusal:
        raise ConfigError(
            f"{where} holds a document that we did not write ({refusal}); "
            "point publish at a file of its own, which Mimir merges last"
        ) from refusal
