"""What was changed, how often it turned, and what points downwards."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.frames import MOVES
from policy.leanings import LEANINGS
from storage.database import Database, read_frame, write_frame

INSERT_MOVES: Final = """
    insert into moves by name
    select "at", tenant, "limit", before, after, ?::varchar as run_id from incoming
"""
MOVES_OF_LIMITS: Final = """
    with turned as (
        select
            *,
            after > before as up,
            after > before is distinct from lag(after > before) over same
                and lag(after > before) over same is not null as turns
        from moves
        where before is not null and "at" <= $now
        window same as (partition by tenant, "limit" order by "at")
    )
    select
        tenant,
        "limit",
        max("at") filter (up) as raised_at,
        max("at") filter (not up) as lowered_at,
        count(*) filter (turns and "at" > $since) as reversals
    from turned
    group by tenant, "limit"
    order by tenant, "limit"
"""
DELETE_LEANINGS: Final = "delete from leanings"
INSERT_LEANINGS: Final = "insert into leanings by name select * from incoming"
READ_LEANINGS: Final = 'select tenant, "limit", runs from leanings order by tenant, "limit"'


def record_moves(database: Database, decisions: pl.DataFrame, *, run_id: str) -> None:
    """Store the decisions (DECISIONS) that change a limit and are put to work."""
    changed = decisions.filter(pl.col("outcome").is_in(["raise", "lower"]))
    if changed.is_empty():
        return
    with database.transaction() as cursor:
        write_frame(
            cursor,
            INSERT_MOVES,
            changed.select("at", "tenant", "limit", "before", "after"),
            run_id,
        )


def moves(database: Database, *, now: datetime, window: timedelta) -> pl.DataFrame:
    """When each limit was changed last, and how often it turned in the window (MOVES)."""
    return read_frame(database, MOVES_OF_LIMITS, {"now": now, "since": now - window}, schema=MOVES)


def replace_leanings(database: Database, frame: pl.DataFrame) -> None:
    """Put `frame` (LEANINGS) in the place of what was known."""
    with database.transaction() as cursor:
        cursor.execute(DELETE_LEANINGS)
        if not frame.is_empty():
            write_frame(cursor, INSERT_LEANINGS, frame.select(LEANINGS.names()))


def leanings(database: Database) -> pl.DataFrame:
    """What points downwards, and for how many runs in a row (LEANINGS)."""
    return read_frame(database, READ_LEANINGS, schema=LEANINGS)
