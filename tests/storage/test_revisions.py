"""Revisions: intended before anything is written, and then what became of them."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta

import polars as pl
import pytest

from policy.frames import CHANGES, COMPOSED, LAYERS, LIMITS
from storage.database import Database
from storage.errors import StorageError
from storage.layers import replace_layer
from storage.limits import observe_limits, observed_limits
from storage.revisions import (
    REVISIONS,
    Intent,
    Outcome,
    begin_revision,
    finish_revision,
    get_revision,
    list_revisions,
    newest_confirmed,
)

RATE = "ingestion_rate"


def intent(value: float) -> Intent:
    return Intent(
        run_id="r1",
        actor="mlo",
        sink="file",
        document=f"overrides:\n  t1:\n    ingestion_rate: {value}\n",
        changes=pl.DataFrame(
            [("t1", RATE, 10_000.0, value, "optimized", "peak")], schema=CHANGES, orient="row"
        ),
        composed=pl.DataFrame(
            [("t1", RATE, value, "optimized", "peak", 10_000.0, None)],
            schema=COMPOSED,
            orient="row",
        ),
    )


def publish(database: Database, value: float, outcome: Outcome, at: datetime) -> int:
    revision = begin_revision(database, intent(value), at=at)
    finish_revision(
        database, revision=revision, outcome=outcome, detail="2/2 pods", evidence={"pods": 2}, at=at
    )
    return revision


def test_a_begun_revision_is_intended_and_holds_the_document(
    database: Database, now: datetime
) -> None:
    document = intent(20_000.0).document

    revision = get_revision(database, begin_revision(database, intent(20_000.0), at=now))

    assert revision.outcome == "intended"
    assert revision.finished_at is None
    assert revision.sha256 == hashlib.sha256(document.encode()).hexdigest()
    assert json.loads(revision.changes)[0]["after"] == 20_000.0


def test_the_newest_confirmed_revision_is_not_the_newest(database: Database, now: datetime) -> None:
    confirmed = publish(database, 20_000.0, "confirmed", now)
    publish(database, 30_000.0, "failed", now)
    begun = begin_revision(database, intent(40_000.0), at=now)

    newest = newest_confirmed(database)

    assert newest
    assert newest.revision == confirmed
    assert newest.finished_at == now
    assert json.loads(newest.evidence or "") == {"pods": 2}
    assert begun > confirmed


def test_nothing_confirmed_is_none(database: Database, now: datetime) -> None:
    begin_revision(database, intent(20_000.0), at=now)

    assert newest_confirmed(database) is None


def test_the_published_limits_are_those_of_the_newest_confirmed_revision(
    database: Database, now: datetime
) -> None:
    publish(database, 20_000.0, "confirmed", now)
    publish(database, 25_000.0, "confirmed", now)
    publish(database, 30_000.0, "reverted", now)

    published = database.cursor().execute("select value from v_tenant_limits").fetchall()

    assert published == [(25_000.0,)]


def test_revisions_are_listed_newest_first(database: Database, now: datetime) -> None:
    numbers = [publish(database, value, "confirmed", now) for value in (1.0, 2.0, 3.0)]

    listed = list_revisions(database, newest=2)

    assert listed.schema == REVISIONS
    assert listed["revision"].to_list() == numbers[:0:-1]
    assert listed["changed_limits"].to_list() == [1, 1]


def test_a_revision_that_does_not_exist_is_told(database: Database, now: datetime) -> None:
    with pytest.raises(StorageError, match="there is no revision 7"):
        get_revision(database, 7)
    with pytest.raises(StorageError, match="there is no revision 7"):
        finish_revision(database, revision=7, outcome="failed", detail="", evidence={}, at=now)


def test_observed_limits_are_replaced_whole_unless_nothing_was_read(
    database: Database, now: datetime
) -> None:
    first = pl.DataFrame([("", RATE, 10_000.0), ("t1", RATE, 1.0)], schema=LIMITS, orient="row")
    second = pl.DataFrame([("", RATE, 12_000.0)], schema=LIMITS, orient="row")

    observe_limits(database, first, at=now)
    observe_limits(database, second, at=now)
    observe_limits(database, pl.DataFrame(schema=LIMITS), at=now)

    assert observed_limits(database).equals(second)


def test_the_limits_view_shows_what_is_published_what_lies_beneath_and_the_stack(
    database: Database, now: datetime
) -> None:
    """
    t1 is published by us; t2 has only the operator's own value.
    """
    written = now - timedelta(days=1)
    observe_limits(
        database,
        pl.DataFrame([("", RATE, 10_000.0), ("t2", RATE, 500.0)], schema=LIMITS, orient="row"),
        at=now,
    )
    for layer, kind, value in (("budget", "cap", 30_000.0), ("optimized", "set", 20_000.0)):
        row = ("t1", RATE, layer, kind, value, "why", "{}", written, None)
        replace_layer(
            database, layer, pl.DataFrame([row], schema=LAYERS, orient="row"), run_id="r1"
        )
    publish(database, 20_000.0, "confirmed", now)

    shown = (
        database.cursor()
        .execute(
            "select tenant, value, beneath, decided_by, stack from v_tenant_limits order by tenant"
        )
        .pl()
    )

    assert shown.rows() == [
        (
            "t1",
            20_000.0,
            10_000.0,
            "optimized",
            ["optimized set 20,000: why", "budget cap 30,000: why"],
        ),
        ("t2", 500.0, 500.0, "defaults", None),
    ]
