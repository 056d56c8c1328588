"""A backfill from a real Prometheus: what was generated comes back, hour by hour."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from prometheus_client import CollectorRegistry

from flows.backfill import Asked, backfilled
from flows.backfill_outcome import Outcome
from flows.backfilling import Progress
from flows.runtime import Run, Runtime
from flows.vitals import Vitals
from policy import scrape as families
from policy.cost.usage import SIGNAL_OF
from policy.errors import ConfigError
from policy.settings import parse_settings
from storage.costs import costs_between
from storage.database import Database
from storage.rollups import ROLLUPS, import_rollups
from storage.tenants import seen
from storage.usage import usage_hours
from tasks.telemetry import Telemetry
from tests.past import MATCHERS, Past, prometheus_of

HOUR = timedelta(hours=1)
START = datetime(2026, 3, 10, 20, tzinfo=UTC)  # four hours of one day, and four of the next
HOURS = 8
HOLE = frozenset({2, 3})
NOW = START + HOURS * HOUR + timedelta(minutes=10)
DISTRIBUTORS, INGESTERS = ("distributor-0", "distributor-1"), ("a-0", "a-1", "a-2")
RATES = [100.0 * (hour + 1) for hour in range(HOURS)]  # of `steady` on each distributor
ACTIVE = [30.0 * (hour + 1) for hour in range(HOURS)]  # of `steady` on each ingester
COMES_AT = 5  # the hour in which `late` begins


def past() -> Past:
    told = Past(start=START, hours=HOURS, hole=HOLE)
    told.up(*DISTRIBUTORS, *INGESTERS)
    for pod in DISTRIBUTORS:
        told.counter(families.RECEIVED, {"pod": pod, "user": "steady"}, RATES)
        told.level(families.REPLICATION_FACTOR, {"pod": pod}, [3.0] * HOURS)
        told.level(families.INGEST_STORAGE, {"pod": pod}, [0.0] * HOURS)
    for pod in INGESTERS:
        late = [None if hour < COMES_AT else 7.0 for hour in range(HOURS)]
        told.level(families.SERIES_ACTIVE, {"pod": pod, "user": "steady"}, ACTIVE)
        told.level(families.SERIES_ACTIVE, {"pod": pod, "user": "late"}, late)
        told.counter(families.SERIES_CREATED, {"pod": pod, "user": "steady"}, [1.0] * HOURS)
        told.counter(families.SERIES_REMOVED, {"pod": pod, "user": "steady"}, [1.0] * HOURS)
    told.counter(families.QUERIES, {"pod": "frontend-0", "user": "steady"}, [0.5] * HOURS)
    told.counter(families.QUERIES, {"pod": "frontend-0", "user": "steady|late"}, [9.0] * HOURS)
    return told


@pytest.fixture(scope="module")
def url(
    debian_tool: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("past")
    with prometheus_of(past(), folder=folder, tool=debian_tool) as address:
        yield address


@dataclass
class Process:
    """A process of ours with a history, that runs backfills."""

    url: str
    database: Database
    matchers: str = MATCHERS
    runs: int = 0

    async def backfill(self, **asked: object) -> Outcome:
        tree = {
            "promql": {"url": self.url, "matchers": self.matchers, "delay": "0s"},
            "costControl": {
                "costMethod": "series",
                "timeZone": "Europe/Berlin",  # an hour ahead of UTC in March
                "prices": [
                    {"from": "2026-01-01", "perThousandSeriesHours": 1000},
                    {"from": "2026-03-11", "perThousandSeriesHours": 2000},
                ],
            },
        }
        settings = parse_settings(tree)
        runtime = Runtime(
            settings=lambda: settings,
            database=self.database,
            clock=lambda: NOW,
            telemetry=Telemetry(CollectorRegistry()),
            vitals=Vitals(born_at=NOW),
        )
        self.runs += 1
        run = Run(run_id=f"run-{self.runs}", flow="backfill", started_at=NOW)

        async def tell(_: Progress) -> None:
            pass

        return await backfilled(runtime, run, asked=Asked(**{"since": "2d", **asked}), tell=tell)  # type: ignore[arg-type]

    def usage(self) -> pl.DataFrame:
        return usage_hours(self.database, start=START, end=NOW)


@pytest.fixture
def process(url: str) -> Iterator[Process]:
    with Database.open(":memory:", clock=lambda: NOW) as database:
        yield Process(url=url, database=database)


def heard(hour: int) -> bool:
    return hour not in HOLE


async def test_hours_come_back_as_they_were_generated(process: Process) -> None:
    """Distributors are added up, each series of the ingesters is counted once."""
    await process.backfill()

    steady = process.usage().filter(pl.col("tenant") == "steady")
    hours = [hour for hour in range(HOURS) if heard(hour)]
    assert steady["at"].to_list() == [START + hour * HOUR for hour in hours]
    assert steady["samples_per_second"].to_list() == pytest.approx(
        [RATES[hour] * len(DISTRIBUTORS) for hour in hours]
    )
    assert steady["active_series"].to_list() == pytest.approx([ACTIVE[hour] for hour in hours])
    assert steady["memory_series"].to_list() == pytest.approx([0.0] * len(hours), abs=1e-6)
    assert steady["queries_per_second"].to_list() == pytest.approx([0.5] * len(hours))
    assert steady["ruler_seconds_per_second"].null_count() == len(hours)
    assert steady["covered_seconds"].to_list() == [3600.0] * len(hours)
    assert set(process.usage()["tenant"]) == {"steady", "late"}


async def test_a_hole_and_a_tenant_that_is_missing_are_reported(process: Process) -> None:
    seen(process.database, ["steady", "never"], at=NOW)

    outcome = await process.backfill()

    empty, older, newer = outcome.marks.sort("day").iter_rows(named=True)
    assert (empty["state"], empty["hours_missing"]) == ("empty", 24)
    # That day begins before there was a Prometheus, and ends with the hole.
    assert older["hours_missing"] == 20 + len(HOLE)
    assert (newer["hours_missing"], newer["tenant_hours_missing"]) == (0, COMES_AT - 4)
    assert outcome.absent == ["never"]
    gaps = process.database.cursor().execute(
        "select gaps from v_backfills order by day desc limit 1"
    )
    late = START + COMES_AT * HOUR
    assert json.loads(gaps.fetchall()[0][0]) == [
        {
            "tenant": "late",
            "start": f"{late - HOUR:%Y-%m-%dT%H:%M:%SZ}",
            "end": f"{late:%Y-%m-%dT%H:%M:%SZ}",
            "hours": 1,
        }
    ]


async def test_a_price_holds_from_local_midnight_on(process: Process) -> None:
    """In Berlin the eleventh begins at 23 UTC, in the hole; the hour before it is the tenth's."""
    outcome = await process.backfill()

    costs = costs_between(process.database, start=START, end=NOW)
    of_steady = costs.filter(pl.col("tenant") == "steady")
    price = {hour: 1 if hour < 3 else 2 for hour in range(HOURS)}
    assert of_steady["amount"].to_list() == [
        Decimal(str(ACTIVE[hour])) * price[hour] for hour in range(HOURS) if heard(hour)
    ]
    assert outcome.priced[0].until == datetime(2026, 3, 10, 23, tzinfo=UTC)
    assert sum(part.amount for part in outcome.priced if part.amount) == costs["amount"].sum()


async def test_a_second_time_nothing_is_asked_and_again_gives_the_same_rows(
    process: Process,
) -> None:
    first = await process.backfill()
    usage, costs = process.usage(), costs_between(process.database, start=START, end=NOW)

    second = await process.backfill()
    third = await process.backfill(again=True)

    # The day of which nothing is known is asked for again; it might come yet.
    assert [each.marks.height for each in (first, second, third)] == [3, 1, 3]
    assert [each.skipped for each in (first, second, third)] == [0, 2, 0]
    assert process.usage().equals(usage)
    assert costs_between(process.database, start=START, end=NOW).equals(costs)


async def test_what_was_measured_wins_over_what_is_fetched(process: Process) -> None:
    row = (START, "steady", SIGNAL_OF["samples_per_second"], 9.0, 9.0, 9.0, 1, 1.0)
    measured = pl.DataFrame([row], schema=ROLLUPS, orient="row")
    import_rollups(process.database, measured, now=NOW, sustained_for=35 * timedelta(minutes=1))

    await process.backfill()

    first = process.usage().filter(pl.col("tenant") == "steady").row(0, named=True)
    # Five minutes of the hour were measured, of 12: what they say holds for them alone.
    assert first["samples_per_second"] == pytest.approx(9.0 / 12)
    assert first["active_series"] == pytest.approx(ACTIVE[0])


async def test_matchers_of_nothing_are_refused_in_one_line(url: str) -> None:
    with Database.open(":memory:", clock=lambda: NOW) as database:
        process = Process(url=url, database=database, matchers='job="other"')

        with pytest.raises(ConfigError, match=r"knows nothing of 2026-03-09.*promql.matchers"):
            await process.backfill()


async def test_with_ingest_storage_a_partition_counts_once_whatever_zones_hold_it(
    debian_tool: Callable[[str, str], str], tmp_path: Path
) -> None:
    told = Past(start=START, hours=2)
    pods = [f"ingester-zone-{zone}-{number}" for zone in "ab" for number in (0, 1)]
    told.up(*pods)
    told.level(families.INGEST_STORAGE, {"pod": "distributor-0"}, [1.0, 1.0])
    for pod in pods:
        # Of partition 0 zone b has not read all yet.
        held = {"ingester-zone-a-0": 50.0, "ingester-zone-b-0": 40.0}.get(pod, 8.0)
        told.level(families.SERIES_ACTIVE, {"pod": pod, "user": "a"}, [held, held])
    with (
        prometheus_of(told, folder=tmp_path, tool=debian_tool) as url,
        Database.open(":memory:", clock=lambda: NOW) as database,
    ):
        process = Process(url=url, database=database)

        await process.backfill(until="2026-03-11")

        assert process.usage()["active_series"].to_list()[:2] == pytest.approx([58.0, 58.0])


async def test_in_cortex_what_its_limiter_refuses_is_not_counted(
    debian_tool: Callable[[str, str], str], tmp_path: Path
) -> None:
    told = Past(start=START, hours=2)
    told.up("cortex-0")
    told.level(families.BUILD, {"pod": "cortex-0", "version": "1.18.0"}, [1.0, 1.0])
    for user, refused in (("held-back", [0.0, 60.0]), ("free", None)):
        told.counter(families.RECEIVED, {"pod": "cortex-0", "user": user}, [100.0, 100.0])
        if refused:
            labels = {"pod": "cortex-0", "user": user, "reason": "rate_limited"}
            told.counter(families.DISCARDED, labels, refused)
    with (
        prometheus_of(told, folder=tmp_path, tool=debian_tool) as url,
        Database.open(":memory:", clock=lambda: NOW) as database,
    ):
        process = Process(url=url, database=database)

        await process.backfill(until="2026-03-11")

        samples = dict(
            process.usage().group_by("tenant").agg(pl.col("samples_per_second").head(2)).iter_rows()
        )
    assert samples["held-back"] == pytest.approx([100.0, 40.0])
    assert samples["free"] == pytest.approx([100.0, 100.0])


async def test_that_past_days_came_from_elsewhere_is_in_the_audit(process: Process) -> None:
    await process.backfill()

    entry = process.database.cursor().execute(
        "select category, actor, details from audit where action = 'backfill_ended'"
    )
    ((category, actor, details),) = entry.fetchall()
    assert (category, actor) == ("cost", "operator")
    told = json.loads(details)
    assert (told["origin"], told["first"], told["last"]) == (
        process.url,
        "2026-03-09",
        "2026-03-11",
    )
