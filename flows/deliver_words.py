"""What a round of the outbox tells people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from policy.alerting.patience import Breaker, Standing
from tasks.tell import table

BREAKERS: Final[Mapping[Breaker, str]] = {
    "closed": "works",
    "open": "is left alone",
    "half-open": "is tried",
}


def deliver_report(
    standings: Mapping[str, Standing], *, waiting: pl.DataFrame, taken: int, escalated: int
) -> str:
    """The report of a round, in Markdown.

    Args:
        standings: of every enabled channel.
        waiting: columns channel, state, messages, oldest.
        taken: alerts that were taken in.
        escalated: incidents that went further.
    """
    counted = dict(waiting.group_by("channel").agg(pl.col("messages").sum()).iter_rows())
    lines = [f"# Alerts\n\n{taken} new; {escalated} went further because nobody answered.\n"]
    if not standings:
        return lines[0] + "\nNo channel is enabled: nobody is told. `alerting` in the settings."
    rows = [
        (
            channel,
            BREAKERS[standing.breaker],
            str(counted.get(channel, 0)),
            standing.problem or "",
        )
        for channel, standing in standings.items()
    ]
    return lines[0] + "\n" + table(["channel", "state", "waiting", "why"], rows)
