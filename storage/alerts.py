"""What was worth telling: kept with what it tells, until it is on its way."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import polars as pl

from policy.alerting.alert import Alert
from policy.frames import UTC_TIME
from storage.database import Database, write_frame

ALERTS: Final = pl.Schema(
    {
        "at": UTC_TIME,
        "kind": pl.String(),
        "priority": pl.String(),
        "component": pl.String(),
        "incident": pl.String(),
        "title": pl.String(),
        "reason": pl.String(),
        "tenant": pl.String(),
        "evidence": pl.String(),
        "resolves": pl.Boolean(),
        "lasts": pl.Boolean(),
        "run_id": pl.String(),
        "simulated": pl.Boolean(),
    }
)
MOST_UNTAKEN: Final = 10_000
"""More than that wait for nobody: no process delivers."""

INSERT: Final = """
    insert into alerts by name
    select
        * exclude (number), false as taken,
        (select coalesce(max(place), 0) from alerts) + number as place
    from incoming
"""
UNTAKEN: Final = """
    select alert::varchar as alert, * exclude (alert, place, taken)
    from alerts where not taken order by place, "at" limit $most
"""
TAKE: Final = "update alerts set taken = true where list_contains($alerts::uuid[], alert)"
READ: Final = """
    select alert::varchar as alert, * exclude (alert, place, taken)
    from alerts where list_contains($alerts::uuid[], alert)
"""
# Nobody delivers: the oldest of the lowest priority give way.
GIVE_WAY: Final = """
    delete from alerts where alert in (
        select alert from alerts where not taken and "at" < $before
        order by priority desc, place
        limit greatest(0, (select count(*) from alerts where not taken) - $most)
    )
"""


def raise_alerts(database: Database, alerts: Iterable[Alert]) -> None:
    """Keep the alerts, all or none; call it within the transaction of what they tell."""
    rows = [{**asdict(alert), "alert": str(uuid4())} for alert in alerts]
    if not rows:
        return
    frame = pl.DataFrame(
        {
            **{
                name: [json.dumps(row[name]) if name == "evidence" else row[name] for row in rows]
                for name in ALERTS.names()
            },
            "alert": [row["alert"] for row in rows],
        },
        schema={**ALERTS, "alert": pl.String()},
    ).with_row_index("number", offset=1)
    with database.transaction() as cursor:
        write_frame(cursor, INSERT, frame)


def give_way(database: Database, *, before: datetime, most: int = MOST_UNTAKEN) -> int:
    """Forget what waits in vain, the oldest of the lowest priority first; return how many.

    Where alerts are raised, it would conflict with who takes them, and undo what they tell of.

    Args:
        database: the history.
        before: what was raised since then is not forgotten: somebody may be taking it.
        most: how many may wait.
    """
    asked = {"before": before, "most": most}
    counted = database.cursor().execute(GIVE_WAY, asked).fetchone()
    return int(counted[0]) if counted else 0


def untaken(database: Database, *, most: int) -> dict[str, Alert]:
    """The oldest alerts that nobody has taken, by their ids, in their order."""
    return _alerts(database, UNTAKEN, {"most": most})


def read_alerts(database: Database, alerts: Collection[str]) -> dict[str, Alert]:
    """These alerts, by their ids."""
    return _alerts(database, READ, {"alerts": list(alerts)})


def take(database: Database, alerts: Collection[str]) -> None:
    """Note that these are on their way."""
    database.cursor().execute(TAKE, {"alerts": list(alerts)})


def _alerts(database: Database, statement: str, asked: dict[str, Any]) -> dict[str, Alert]:
    rows = database.cursor().execute(statement, asked).pl().to_dicts()
    return {
        row.pop("alert"): Alert(**{**row, "evidence": json.loads(row["evidence"])}) for row in rows
    }
