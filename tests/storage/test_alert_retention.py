"""What becomes of alerts, incidents and messages that are old."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl

from policy.alerting.incidents import folded
from storage import outbox
from storage.alerts import raise_alerts, take, untaken
from storage.database import Database
from storage.incidents import keep_incidents, open_incidents
from storage.maintenance import apply_retention
from tests.policy.alerts import alert

SUSTAINED = timedelta(minutes=35)
YEAR = timedelta(days=365)


def incident(database: Database, *, at: datetime, over: bool, told: bool) -> str:
    """One with a message and its thread; `told`: the message has ended."""
    raise_alerts(database, [alert(f"breaker:{at}", at=at)])
    ((raised, opened),) = untaken(database, most=10).items()
    take(database, [raised])
    found = folded(None, opened, alert_id=raised).incident
    assert found is not None
    if over:
        found = replace(found, state="resolved", over_at=at)
    keep_incidents(database, [found])
    row = {
        "delivery": raised,
        "incident": raised,
        "alert": raised,
        "channel": "ops",
        "address": "",
        "priority": "P1",
        "tells": "firing",
        "entered_at": at,
        "not_before": at,
        "held": None,
    }
    outbox.enter(database, pl.DataFrame([row], schema=outbox.OUTGOING))
    outbox.keep_thread(database, incident=raised, channel="ops", address="", thread="1")
    if told:
        outbox.end(database, [raised], state="delivered", now=at)
    return raised


def left(database: Database) -> dict[str, int]:
    tables = ("alerts", "incidents", "deliveries", "threads")
    return {name: database.cursor().execute(f"from {name}").pl().height for name in tables}


def test_what_is_long_over_is_forgotten_whole(database: Database, now: datetime) -> None:
    incident(database, at=now - YEAR, over=True, told=True)

    apply_retention(database, now=now, sustained_for=SUSTAINED)

    assert set(left(database).values()) == {0}


def test_what_is_new_or_goes_on_or_is_still_to_be_told_stays(
    database: Database, now: datetime
) -> None:
    incident(database, at=now, over=True, told=True)
    goes_on = incident(database, at=now - YEAR, over=False, told=True)
    waits = incident(database, at=now - 2 * YEAR, over=True, told=False)

    apply_retention(database, now=now, sustained_for=SUSTAINED)

    # Of what goes on only the message is gone.
    assert left(database) == {"alerts": 3, "incidents": 3, "deliveries": 2, "threads": 3}
    assert [each.incident for each in open_incidents(database)] == [goes_on]
    (due,) = list(outbox.due(database, channel="ops", now=now, most=9))
    assert due.delivery == waits
