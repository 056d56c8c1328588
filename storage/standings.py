"""How each limit stood at the newest run; what stood before is told by the decisions."""

from __future__ import annotations

from typing import Final

import polars as pl

from policy.standings import STANDINGS
from storage.database import Database, read_frame, write_frame

DELETE_STANDINGS: Final = "delete from standings"
INSERT_STANDINGS: Final = "insert into standings by name select * from incoming"
READ_STANDINGS: Final = 'select * from standings order by tenant, "limit"'


def replace_standings(database: Database, frame: pl.DataFrame) -> None:
    """Put `frame` (STANDINGS) in the place of what stood there, at once."""
    with database.transaction() as cursor:
        cursor.execute(DELETE_STANDINGS)
        if not frame.is_empty():
            write_frame(cursor, INSERT_STANDINGS, frame.select(STANDINGS.names()))


def read_standings(database: Database) -> pl.DataFrame:
    """How each limit stood (STANDINGS), sorted by tenant and limit."""
    return read_frame(database, READ_STANDINGS, schema=STANDINGS)
