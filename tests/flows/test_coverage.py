"""Processes of Mimir that do not answer, and what a process tells that takes over from another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from flows.auditing import note_refusal, note_settings
from flows.coverage import DEGRADED_AFTER, see_coverage
from flows.deliver import deliver
from flows.resuming import resume
from flows.runtime import Run, install
from policy.frames import CHANGES, READINGS, empty
from policy.scrape import Scrape
from storage.database import Database
from storage.incidents import open_incidents
from tasks.audit_entries import Turn, publish_refused, settings_turned
from tasks.publish import Publication
from tests.flows.alerting import NOON, Office

ALL = Scrape(
    at=NOON,
    readings=pl.DataFrame(schema=READINGS),
    answered=("ingester-0", "ingester-1"),
    failed={},
)
ONE = replace(ALL, answered=("ingester-0",), failed={"ingester-1": "no answer within 5s"})


@pytest.fixture
def office() -> Iterator[Office]:
    with Database.open(":memory:", clock=lambda: NOON) as database:
        yield Office(database)
        install(None)


def look(office: Office, seen: Scrape, *, after: timedelta = timedelta()) -> None:
    office.now += after
    run = Run(run_id="r", flow="protect", started_at=office.now)
    see_coverage(office.runtime, run, office.settings(), seen=seen)


def told(office: Office) -> list[str]:
    return office.actions("collection_degraded", "collection_whole")


def test_a_process_that_is_silent_for_long_is_told_once_and_so_is_its_return(
    office: Office,
) -> None:
    look(office, ONE)
    look(office, ONE, after=DEGRADED_AFTER - timedelta(seconds=1))
    early = told(office)
    look(office, ONE, after=timedelta(seconds=1))
    look(office, ONE, after=timedelta(hours=1))
    lasting = told(office)
    look(office, ALL)
    look(office, ALL)

    assert (early, lasting) == ([], ["collection_degraded"])
    assert told(office) == ["collection_degraded", "collection_whole"]


def test_a_process_that_is_back_soon_is_not_told(office: Office) -> None:
    look(office, ONE)
    look(office, ALL, after=timedelta(minutes=1))
    look(office, ONE, after=timedelta(minutes=1))
    look(office, ALL, after=timedelta(minutes=1))

    assert told(office) == []


async def test_what_a_process_told_and_did_not_end_is_ended_by_the_next_one(
    office: Office,
) -> None:
    look(office, ONE)
    look(office, ONE, after=DEGRADED_AFTER)
    with pytest.raises(RuntimeError), office.runtime.run("cost"):
        raise RuntimeError
    office.enter(
        settings_turned(Turn(works=False, problem="mode: x"), run_id="r", at=office.now),
        publish_refused(["a: too low"], changes=empty(CHANGES), run_id="r", at=office.now),
    )
    await deliver.fn()
    before = {each.subject for each in open_incidents(office.database)}

    office.restart()
    resume(office.runtime, office.settings())

    assert before == {"collection", "flow:cost", "settings", "publish refused"}
    look(office, ALL)
    run = Run(run_id="r", flow="protect", started_at=office.now)
    note_settings(office.runtime, run, office.settings())
    nothing = Publication(outcome="nothing", changes=empty(CHANGES))
    note_refusal(office.runtime, run, office.settings(), nothing)
    with office.runtime.run("cost"):
        pass
    await deliver.fn()

    assert open_incidents(office.database) == []
