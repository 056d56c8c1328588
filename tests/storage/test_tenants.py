"""When tenants were seen and asked for something, and how many hours of looking that is ago."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.activity import ACTIVITY
from policy.frames import SAMPLES
from storage.database import Database
from storage.tenants import activity, seen
from tasks.record import record_samples

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LEGAL = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!-_.*'()"


@pytest.fixture
def database() -> Iterator[Database]:
    with Database.open(":memory:", clock=lambda: NOON) as opened:
        yield opened


def hours_of(database: Database, tenant: str) -> tuple[float, float]:
    row = activity(database).row(by_predicate=pl.col("tenant") == tenant, named=True)
    return row["quiet_hours"], row["absent_hours"]


def test_a_tenant_is_quiet_since_its_last_demand_and_absent_since_its_last_sight(
    database: Database,
) -> None:
    for hour in range(6):
        asking = ["a"] if hour < 2 else []
        tenants = ["a", "b"] if hour < 4 else ["b"]
        seen(database, tenants, at=NOON + hour * HOUR, asking=asking, whole=True)

    found = activity(database)

    assert found.schema == ACTIVITY
    assert hours_of(database, "a") == (4, 2)
    assert hours_of(database, "b") == (5, 0)
    assert found.select("tenant", "last_demand").rows() == [("a", NOON + HOUR), ("b", None)]


def test_hours_in_which_nobody_looked_make_nobody_quiet(database: Database) -> None:
    """
    We were stopped for forty days: the tenant that works once a week is not gone.
    """
    seen(database, ["a"], at=NOON, asking=["a"], whole=True)
    seen(database, ["b"], at=NOON + 40 * 24 * HOUR, whole=True)

    assert hours_of(database, "a") == (1, 1)


def test_a_look_at_a_part_of_the_cluster_makes_nobody_quiet(database: Database) -> None:
    seen(database, ["a"], at=NOON, asking=["a"], whole=True)
    for hour in range(1, 30):
        seen(database, ["b"], at=NOON + hour * HOUR, whole=False)

    assert hours_of(database, "a") == (0, 0)


def test_demand_within_the_minute_of_a_look_without_is_noted(database: Database) -> None:
    seen(database, ["a"], at=NOON)
    seen(database, ["a"], at=NOON + timedelta(seconds=15), asking=["a"])

    assert activity(database)["last_demand"].to_list() == [NOON + timedelta(seconds=15)]


def test_an_older_look_takes_nothing_back(database: Database) -> None:
    seen(database, ["a"], at=NOON, asking=["a"], whole=True)
    seen(database, ["a"], at=NOON - HOUR, whole=True)

    row = activity(database).row(0, named=True)
    assert (row["first_seen"], row["last_seen"], row["last_demand"]) == (NOON - HOUR, NOON, NOON)


@pytest.mark.parametrize(
    ("signal", "value", "asks"),
    [
        ("ingestion_rate", 5.0, True),
        ("queries_per_second", 0.1, True),
        ("max_global_series_per_user", 1.0, False),
        ("ingestion_rate", 0.0, False),
        ("active_series", 5.0, False),
    ],
)
async def test_samples_say_who_asks(
    database: Database, signal: str, value: float, *, asks: bool
) -> None:
    samples = pl.DataFrame([(NOON, "a", signal, value, 1.0)], schema=SAMPLES, orient="row")

    await record_samples(samples, database=database, at=NOON)

    assert (activity(database)["last_demand"][0] is not None) == asks


@pytest.mark.parametrize(("coverage", "whole"), [(1.0, True), (0.5, False)])
async def test_only_a_whole_look_counts_as_an_hour(
    database: Database, coverage: float, *, whole: bool
) -> None:
    rows = [(NOON + HOUR, "b", "ingestion_rate", 1.0, coverage)]
    seen(database, ["a"], at=NOON, asking=["a"])

    samples = pl.DataFrame(rows, schema=SAMPLES, orient="row")
    await record_samples(samples, database=database, at=NOON + HOUR)

    assert hours_of(database, "a")[0] == float(whole)


def test_no_tenants_are_no_look(database: Database) -> None:
    seen(database, [], at=NOON, whole=True)

    assert activity(database).is_empty()


@given(tenants=st.lists(st.text(alphabet=LEGAL, min_size=1, max_size=150), min_size=1, max_size=5))
def test_every_legal_id_is_kept_as_it_is(tenants: list[str]) -> None:
    with Database.open(":memory:", clock=lambda: NOON) as opened:
        seen(opened, tenants, at=NOON, asking=tenants[:1])

        assert activity(opened)["tenant"].to_list() == sorted(set(tenants))
