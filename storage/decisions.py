"""What was decided, kept only where it differs from what was decided before."""

from __future__ import annotations

from typing import Final

import polars as pl

from policy.frames import DECISIONS
from storage.database import Database, read_frame, write_frame

STORED_DECISIONS: Final = pl.Schema(
    {**DECISIONS, "run_id": pl.String(), "flow": pl.String()},
)

NEWS_AMONG: Final = """
    with newest as (
        select tenant, "limit", outcome, reason, after
        from decisions
        where flow = ?
        qualify row_number() over (partition by tenant, "limit" order by "at" desc) = 1
    )
    select incoming.*
    from incoming
    left join newest
        on newest.tenant = incoming.tenant and newest."limit" = incoming."limit"
    where newest.tenant is null
       or newest.outcome is distinct from incoming.outcome
       or newest.reason is distinct from incoming.reason
       or newest.after is distinct from incoming.after
    order by incoming.tenant, incoming."limit"
"""
INSERT_DECISIONS: Final = """
    insert into decisions by name
    select *, ?::varchar as run_id, ?::varchar as flow from incoming
"""
LATEST_DECISIONS: Final = """
    select *
    from decisions
    where $tenant is null or tenant = $tenant
    qualify row_number() over (partition by flow, tenant, "limit" order by "at" desc) = 1
    order by tenant, "limit", flow
"""


def record_decisions(
    database: Database, frame: pl.DataFrame, *, run_id: str, flow: str
) -> pl.DataFrame:
    """Append the decisions that are news; return those (DECISIONS).

    News is an outcome, a reason or an `after` other than in the newest decision that this
    flow stored on the same tenant and limit.
    """
    decided = frame.select(DECISIONS.names())
    if decided.is_empty():
        return decided
    with database.transaction() as cursor:
        cursor.register("incoming", decided)
        try:
            news = cursor.execute(NEWS_AMONG, [flow]).pl().cast(DECISIONS)
        finally:
            cursor.unregister("incoming")
        if not news.is_empty():
            write_frame(cursor, INSERT_DECISIONS, news, run_id, flow)
    return news


def latest_decisions(database: Database, *, tenant: str | None = None) -> pl.DataFrame:
    """Each flow's newest decision on each tenant and limit (STORED_DECISIONS)."""
    return read_frame(database, LATEST_DECISIONS, {"tenant": tenant}, schema=STORED_DECISIONS)
