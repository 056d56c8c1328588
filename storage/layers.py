"""The layers that the flows write, and that one place composes."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from policy.frames import LAYERS
from storage.database import Database, read_frame, write_frame

DELETE_LAYER: Final = "delete from layers where layer = ?"
INSERT_LAYER: Final = "insert into layers by name select *, ?::varchar as run_id from incoming"
READ_LAYERS: Final = """
    select * exclude (run_id)
    from layers
    where expires_at is null or expires_at > ?
    order by tenant, "limit", layer
"""
DROP_EXPIRED: Final = "delete from layers where expires_at <= ?"
# Cheap to ask at every run: the same answer means the same words and the same limits beneath.
FINGERPRINT: Final = """
    select
        (select sum(hash(tenant, "limit", layer, kind, value, expires_at)) from layers
         where expires_at is null or expires_at > $now),
        (select count(*) from layers where expires_at is null or expires_at > $now),
        (select sum(hash(tenant, limit_name, value)) from limits_observed),
        (select sum(hash(tenant, revision, until)) from holds where until is null or until > $now)
"""


def replace_layer(database: Database, layer: str, frame: pl.DataFrame, *, run_id: str) -> None:
    """Put `frame` (LAYERS, rows of this layer only) in the place of the whole layer, at once.

    Raises:
        ValueError: a row of the frame belongs to another layer.
    """
    if strangers := sorted(set(frame["layer"].unique()) - {layer}):
        raise ValueError(f"layer {layer} was given rows of {', '.join(map(str, strangers))}")
    with database.transaction() as cursor:
        cursor.execute(DELETE_LAYER, [layer])
        if not frame.is_empty():
            write_frame(cursor, INSERT_LAYER, frame.select(LAYERS.names()), run_id)


def read_layers(database: Database, *, now: datetime) -> pl.DataFrame:
    """Every layer's word that has not expired (LAYERS)."""
    return read_frame(database, READ_LAYERS, [now], schema=LAYERS)


def fingerprint(database: Database, *, now: datetime) -> tuple[object, ...]:
    """What everything that is published follows from, as something to compare."""
    return database.cursor().execute(FINGERPRINT, {"now": now}).fetchone() or ()


def drop_expired(database: Database, *, now: datetime) -> int:
    """Delete what has expired; return how many rows that were."""
    with database.transaction() as cursor:
        counted = cursor.execute(DROP_EXPIRED, [now]).fetchone()
    return int(counted[0]) if counted else 0
