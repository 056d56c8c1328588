"""Days are stored one after another: what fails stays undone, and what is done stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from prometheus_client import CollectorRegistry

import flows.backfilling
from flows.backfilling import Progress, fill
from flows.runtime import Run, Runtime
from flows.vitals import Vitals
from policy.cost.backfill import Filled, days_of, gaps
from policy.cost.periods import Period
from policy.cost.usage import IMPORTED
from policy.errors import Conflict, RetriableError
from policy.settings import parse_settings
from policy.signals import ACTIVE_SERIES
from storage.backfills import days_done, marks_of
from storage.database import Database
from tasks.telemetry import Telemetry

NOW = datetime(2026, 11, 23, tzinfo=UTC)
DAYS = days_of(Period(start=NOW - timedelta(days=3), end=NOW))


@dataclass
class Days:
    """A source of days with one hour each, one of which may be refused."""

    refused: Period | None = None
    kind: str = "promql"
    origin: str = "http://prometheus"
    asked: list[Period] = field(default_factory=list)

    async def day(self, day: Period) -> Filled:
        self.asked.append(day)
        if day == self.refused:
            raise RetriableError("it is down")
        hours = pl.DataFrame(
            [(day.start, "a", ACTIVE_SERIES, 5.0, 3600.0)], schema=IMPORTED, orient="row"
        )
        return Filled(day=day, hours=hours, gaps=gaps(hours, day=day, heard=hours["at"]))


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    with Database.open(":memory:", clock=lambda: NOW) as database:
        yield Runtime(
            settings=lambda: parse_settings({}),
            database=database,
            clock=lambda: NOW,
            telemetry=Telemetry(CollectorRegistry()),
            vitals=Vitals(born_at=NOW),
        )


async def filled(runtime: Runtime, source: Days, *, again: bool = False) -> list[Progress]:
    told: list[Progress] = []

    async def tell(progress: Progress) -> None:
        told.append(progress)

    run = Run(run_id="r", flow="backfill", started_at=NOW)
    settings = runtime.settings()
    await fill(runtime, run, settings, source=source, days=DAYS, again=again, tell=tell)
    return told


async def test_what_came_before_a_day_that_fails_stays_and_is_not_asked_for_again(
    runtime: Runtime,
) -> None:
    with pytest.raises(RetriableError, match="it is down"):
        await filled(runtime, Days(refused=DAYS[1]))
    assert list(days_done(runtime.database, source="promql")) == [DAYS[0].start.date()]

    source = Days()
    told = await filled(runtime, source)

    assert source.asked == DAYS[1:]
    assert [(one.done, one.of) for one in told] == [(0, 2), (1, 2), (2, 2)]
    assert marks_of(runtime.database, run_id="r")["day"].to_list() == [
        day.start.date() for day in DAYS
    ]


async def test_a_day_that_somebody_else_writes_at_the_same_moment_is_stored_a_moment_later(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the hourly `cost` may, that prices the hours of the last two days."""
    mark, marked = flows.backfilling.mark_day, []

    def disturbed(*args: Any, **named: Any) -> None:  # noqa: ANN401
        marked.append(args)
        if len(marked) == 1:
            raise Conflict("somebody else")
        mark(*args, **named)

    monkeypatch.setattr(flows.backfilling, "mark_day", disturbed)
    monkeypatch.setattr(flows.backfilling, "FIRST_WAIT_SECONDS", 0.0)

    await filled(runtime, Days())

    assert len(marked) == len(DAYS) + 1
    rows = runtime.database.cursor().execute("select count(*) from usage_imported").fetchone()
    assert rows == (len(DAYS),)


async def test_days_of_a_file_do_not_count_as_days_of_prometheus(runtime: Runtime) -> None:
    await filled(runtime, Days(kind="file", origin="usage.csv"), again=True)
    source = Days()

    await filled(runtime, source)

    assert source.asked == DAYS


async def test_without_cost_control_usage_is_stored_and_nothing_priced(runtime: Runtime) -> None:
    off = parse_settings({"costControl": {"enabled": False}})
    unpriced = Runtime(
        settings=lambda: off,
        database=runtime.database,
        clock=runtime.clock,
        telemetry=runtime.telemetry,
        vitals=runtime.vitals,
    )

    await filled(unpriced, Days())

    counted = runtime.database.cursor().execute(
        "select (select count(*) from usage_imported), (select count(*) from costs)"
    )
    assert counted.fetchone() == (len(DAYS), 0)
