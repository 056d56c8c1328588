"""The incidents: what alerts of one subject have in common."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final

import polars as pl

from policy.alerting.incidents import Incident
from policy.frames import UTC_TIME
from storage.audit import NOTE
from storage.database import Database, write_frame
from storage.script import run_script

INCIDENTS: Final = pl.Schema(
    {
        "incident": pl.String(),
        "subject": pl.String(),
        "kind": pl.String(),
        "component": pl.String(),
        "tenant": pl.String(),
        "priority": pl.String(),
        "state": pl.String(),
        "title": pl.String(),
        "lasts": pl.Boolean(),
        "simulated": pl.Boolean(),
        "times": pl.Int64(),
        "opened_at": UTC_TIME,
        "newest_at": UTC_TIME,
        "told_at": UTC_TIME,
        "kinds": pl.String(),
        "flaps": pl.Int64(),
        "over_at": UTC_TIME,
        "escalated_at": UTC_TIME,
        "acknowledged_at": UTC_TIME,
        "acknowledged_by": pl.String(),
        "acknowledgement_told": pl.Boolean(),
    }
)

NEWEST: Final = """
    select incident::varchar as incident, * exclude (incident) from incidents
    where list_contains($subjects::varchar[], subject)
    qualify row_number() over (partition by subject order by opened_at desc, newest_at desc) = 1
"""
UNANSWERED: Final = """
    select incident::varchar as incident, * exclude (incident) from incidents
    where state = 'firing' and lasts and escalated_at is null
    order by opened_at
"""
OPEN: Final = """
    select incident::varchar as incident, * exclude (incident) from incidents
    where state in ('firing', 'acknowledged') order by priority, opened_at
"""
ANSWERED: Final = """
    select incident::varchar as incident, * exclude (incident) from incidents
    where state = 'acknowledged' and not acknowledgement_told
"""
# Changed and not replaced: DuckDB sees that two change a row, and not that one deletes what the
# other changes, and then the change is lost without a word.
_CHANGED: Final = ", ".join(
    f"{name} = incoming.{name}" for name in INCIDENTS.names() if name != "incident"
)
CHANGE: Final = f"""
    update incidents set {_CHANGED} from incoming
    where incidents.incident = incoming.incident::uuid
"""  # noqa: S608 - names of our own
INSERT: Final = """
    insert into incidents by name
    select * from incoming
    where incident::uuid not in (select incident from incidents)
"""
ACKNOWLEDGE: Final = """
    update incidents
    set state = 'acknowledged', acknowledged_at = {at}::timestamptz, acknowledged_by = {actor},
        acknowledgement_told = false
    where subject = {subject} and state = 'firing'
"""


def newest_incidents(database: Database, subjects: Collection[str]) -> dict[str, Incident]:
    """The newest incident of each of these subjects, by its subject."""
    found = _incidents(database, NEWEST, {"subjects": list(subjects)})
    return {each.subject: each for each in found}


def unanswered(database: Database) -> list[Incident]:
    """Those that last, of which nobody said that they see to it, and that went no further."""
    return _incidents(database, UNANSWERED, {})


def open_incidents(database: Database) -> list[Incident]:
    """Those that go on, the most urgent first."""
    return _incidents(database, OPEN, {})


def newly_acknowledged(database: Database) -> list[Incident]:
    """Those that somebody sees to, of which the channels do not know that yet."""
    return _incidents(database, ANSWERED, {})


def keep_incidents(database: Database, incidents: Sequence[Incident]) -> None:
    """Put these in the place of what was known of them.

    Raises:
        Conflict: somebody changes one of them at this moment; nothing was kept.
    """
    if not incidents:
        return
    rows = [asdict(each) for each in incidents]
    frame = pl.DataFrame(
        {name: [row[name] for row in rows] for name in INCIDENTS.names()}, schema=INCIDENTS
    )
    with database.transaction() as cursor:
        write_frame(cursor, CHANGE, frame)
        write_frame(cursor, INSERT, frame)


def acknowledge(
    where: str | Database, *, subject: str, by: str, at: datetime, audit: bool = True
) -> None:
    """Note that somebody sees to the open incident of this subject; without one, nothing is done.

    Args:
        where: see `storage.script.run_script`.
        subject: of the incident.
        by: who.
        at: when, aware UTC.
        audit: whether it is an audit entry.

    Raises:
        StorageError: the history cannot be reached or written.
    """
    run_script(
        where,
        [ACKNOWLEDGE, *([NOTE] if audit else [])],
        told={
            "at": at.isoformat(),
            "category": "user",
            "component": "alerting",
            "action": "alert_acknowledged",
            "tenant": "",
            "actor": by,
            "subject": subject,
            "details": json.dumps({"incident": subject}),
        },
    )


def _incidents(database: Database, statement: str, asked: dict[str, object]) -> list[Incident]:
    return [Incident(**row) for row in database.cursor().execute(statement, asked).pl().to_dicts()]
