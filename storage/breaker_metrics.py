"""The metrics with the most series of tenants whose breaker is not closed."""

from __future__ import annotations

import json
from typing import Final

import polars as pl

from policy.top_metrics import TOP_METRICS
from storage.database import Database, read_frame, write_frame

READ_METRICS: Final = 'select * from breaker_metrics order by tenant, "at", series desc, metric'
FORGET_CLOSED: Final = """
    delete from breaker_metrics where tenant not in (select tenant from breakers)
"""
INSERT_METRICS: Final = "insert into breaker_metrics by name select * from incoming"
# What was seen at a turn, and what it was of.
ADD_EVIDENCE: Final = """
    update breaker_turns
    set evidence = json_merge_patch(evidence::json, incoming.metrics::json)::varchar
    from incoming
    where breaker_turns.tenant = incoming.tenant and run_id = $run_id
"""


def read_metrics(database: Database) -> pl.DataFrame:
    """TOP_METRICS of every answer that is kept."""
    return read_frame(database, READ_METRICS, schema=TOP_METRICS)


def add_metrics(database: Database, answers: pl.DataFrame, *, run_id: str) -> None:
    """Keep TOP_METRICS, also as evidence of the turns of this run; forget those of closed breakers.

    Args:
        database: the history.
        answers: of this look.
        run_id: of the run that asked.
    """
    evidence = answers.group_by("tenant", maintain_order=True).agg(
        metrics=pl.struct("metric", "series", "total").map_batches(
            _as_evidence, return_dtype=pl.String, returns_scalar=True
        )
    )
    with database.transaction() as cursor:
        cursor.execute(FORGET_CLOSED)
        if not answers.is_empty():
            write_frame(cursor, INSERT_METRICS, answers)
            write_frame(cursor, ADD_EVIDENCE, evidence, run_id=run_id)


def _as_evidence(rows: pl.Series) -> str:
    told = rows.to_list()
    metrics = {row["metric"]: row["series"] for row in told}
    return json.dumps({"metrics": metrics, "series": told[0]["total"]})
