"""A run is told by what it did, whatever becomes of the telling."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from flows.runtime import Memory, Runtime, current, install, look
from flows.vitals import Vitals
from flows.words import publication_lines
from policy.errors import ConfigError
from policy.frames import CHANGES, READINGS, empty
from policy.scrape import Scrape
from policy.settings import Settings
from storage.database import Database
from storage.errors import StorageUnavailable
from storage.runs import latest_runs
from tasks.http import MimirUnavailable
from tasks.publish import Publication
from tasks.telemetry import Telemetry
from tasks.tell import tell

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    with Database.open(":memory:", clock=lambda: NOON) as database:
        yield Runtime(
            settings=Settings,
            database=database,
            clock=lambda: NOON,
            telemetry=Telemetry(CollectorRegistry()),
            vitals=Vitals(born_at=NOON),
        )


def test_a_failed_run_is_stored_with_its_reason(runtime: Runtime) -> None:
    with pytest.raises(MimirUnavailable), runtime.run("protect"):
        raise MimirUnavailable("nobody answered")

    newest = latest_runs(runtime.database).row(0, named=True)
    assert (newest["outcome"], newest["summary"]) == ("error", '{"problem": "nobody answered"}')
    assert runtime.vitals.flows["protect"].problem == "nobody answered"


def test_a_full_disk_does_not_hide_why_a_run_failed(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise StorageUnavailable("no space left")

    monkeypatch.setattr("flows.runtime.record_run", full)
    monkeypatch.setattr(logging.getLogger("flows"), "propagate", True)

    with pytest.raises(MimirUnavailable), runtime.run("protect"):
        raise MimirUnavailable("nobody answered")

    assert "the run of protect was not recorded: no space left" in caplog.text
    assert runtime.vitals.flows["protect"].problem == "nobody answered"


async def test_clocks_that_differ_are_told_once_and_once_that_they_agree_again(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = iter([{"a": 0.0}, {"a": 90.0}, {"a": 91.0}, {"a": -1.0}, {"a": 0.0}])

    async def collect(*_: object, **__: object) -> Scrape:
        readings = empty(READINGS)
        return Scrape(at=NOON, readings=readings, answered=("a",), failed={}, ahead=next(looks))

    monkeypatch.setattr("flows.runtime.collect", collect)
    monkeypatch.setattr(logging.getLogger("flows"), "propagate", True)

    told = []
    for _ in range(5):
        caplog.clear()
        await look(runtime, Settings())
        told.append([record.getMessage() for record in caplog.records])

    behind = "our clock is 90 s behind that of a: let NTP set the clocks of both machines"
    assert told == [[], [behind], [], ["the clocks agree again"], []]


def test_a_flow_outside_the_resident_process_says_where_it_runs() -> None:
    install(None)

    with pytest.raises(ConfigError, match="start `mlo up`"):
        current()


async def test_a_report_that_cannot_be_kept_fails_no_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class InARun:
        get = staticmethod(object)

    async def gone(**_: object) -> None:
        raise ConnectionError("the Prefect server is gone")

    monkeypatch.setattr("tasks.tell.FlowRunContext", InARun)
    monkeypatch.setattr("tasks.tell.acreate_markdown_artifact", gone)
    monkeypatch.setattr(logging.getLogger("tasks"), "propagate", True)

    await tell("# Protect", key="protect", description="")

    assert "the report of protect was not kept: ConnectionError" in caplog.text


def test_a_refusal_is_said_once_and_again_after_it_was_mended() -> None:
    memory = Memory()
    changes = empty(CHANGES)
    refused = Publication(outcome="refused", changes=changes, problems=("wrong",))
    written = Publication(outcome="written", changes=changes, revision=7)

    said = [
        publication_lines(publication, memory=memory, sink="file")
        for publication in (refused, refused, written, refused)
    ]

    assert [bool(lines) for lines in said] == [True, False, True, True]
