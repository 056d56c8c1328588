"""What was changed, how often it turned, and what points downwards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.frames import MOVES
from policy.leanings import LEANINGS
from policy.reverts import LOWERED, REVERTED
from storage.database import Database, read_frame, write_frame

INSERT_MOVES: Final = """
    insert into moves by name
    select "at", tenant, "limit", before, after, reason = $reverted as reverts,
        $run_id::varchar as run_id
    from incoming
"""
# Of lowerings only those of the last 90 days count: a limit that was lowered in vain thaws.
MOVES_OF_LIMITS: Final = """
    with turned as (
        select
            *,
            after > before as up,
            after > before is distinct from lag(after > before) over same
                and lag(after > before) over same is not null as turns,
            not up and coalesce(lead(reverts) over same, false) as taken_back
        from moves
        where before is not null and "at" <= $now
        window same as (partition by tenant, "limit" order by "at")
    ),
    lowerings as (
        select
            tenant, "limit", "at", taken_back,
            row_number() over (partition by tenant, "limit" order by "at" desc) as age
        from turned where not up and "at" > $lowered_since
    ),
    failures as (
        select
            tenant, "limit",
            coalesce(min(age) filter (not taken_back), count(*) + 1) - 1 as reverts,
            count(*) filter (taken_back and age <= 5) as failed
        from lowerings group by tenant, "limit"
    ),
    moved as (
        select
            tenant,
            "limit",
            max("at") filter (up) as raised_at,
            max("at") filter (not up) as lowered_at,
            count(*) filter (turns and "at" > $since) as reversals
        from turned
        group by tenant, "limit"
    )
    select moved.*, coalesce(reverts, 0) as reverts, coalesce(failed, 0) as failed
    from moved left join failures using (tenant, "limit")
    order by tenant, "limit"
"""
NEWEST_LOWERINGS: Final = """
    select tenant, "limit", "at", before, after from moves
    where "at" > $since and "at" <= $now and list_contains($tenants::varchar[], tenant)
    qualify row_number() over (partition by tenant, "limit" order by "at" desc) = 1
        and after < before
    order by tenant, "limit"
"""
LOWERINGS_REMEMBERED: Final = timedelta(days=90)
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
            changed.select("at", "tenant", "limit", "before", "after", "reason"),
            run_id=run_id,
            reverted=REVERTED,
        )


def moves(database: Database, *, now: datetime, window: timedelta) -> pl.DataFrame:
    """When each limit was changed last, and how often it turned in the window (MOVES)."""
    return read_frame(
        database,
        MOVES_OF_LIMITS,
        {"now": now, "since": now - window, "lowered_since": now - LOWERINGS_REMEMBERED},
        schema=MOVES,
    )


def lowered(
    database: Database, *, now: datetime, within: timedelta, tenants: Sequence[str]
) -> pl.DataFrame:
    """The limits of these tenants whose newest change is a lowering of lately (LOWERED).

    Args:
        database: the history.
        now: aware UTC.
        within: how long ago it was at most.
        tenants: whose.
    """
    return read_frame(
        database,
        NEWEST_LOWERINGS,
        {"now": now, "since": now - within, "tenants": list(tenants)},
        schema=LOWERED,
    )


def replace_leanings(database: Database, frame: pl.DataFrame) -> None:
    """Put `frame` (LEANINGS) in the place of what was known."""
    with database.transaction() as cursor:
        cursor.execute(DELETE_LEANINGS)
        if not frame.is_empty():
            write_frame(cursor, INSERT_LEANINGS, frame.select(LEANINGS.names()))


def leanings(database: Database) -> pl.DataFrame:
    """What points downwards, and for how many runs in a row (LEANINGS)."""
    return read_frame(database, READ_LEANINGS, schema=LEANINGS)
