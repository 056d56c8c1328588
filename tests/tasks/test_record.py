"""What is recorded is whole or not there, also when two flows record at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from policy.effective import as_optimized
from policy.evidence import Recommended
from policy.frames import DECISIONS, LAYERS, LIMITS, SAMPLES, empty
from policy.leanings import LEANINGS
from storage.database import Database
from storage.layers import read_layers
from storage.limits import observed_limits
from storage.moves import leanings, moves
from storage.samples import latest
from storage.tenants import activity
from tasks.record import record, record_layer, record_observed, record_samples, rolled_up

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RATE = "ingestion_rate"


@pytest.fixture
def database() -> Iterator[Database]:
    with Database.open(":memory:", clock=lambda: NOON) as opened:
        yield opened


def samples(*values: float, at: datetime = NOON) -> pl.DataFrame:
    rows = [(at, f"t{place}", RATE, value, 1.0) for place, value in enumerate(values)]
    return pl.DataFrame(rows, schema=SAMPLES, orient="row")


def optimized(value: float) -> pl.DataFrame:
    limits = pl.DataFrame([("a", RATE, value)], schema=LIMITS, orient="row")
    return as_optimized(limits, reason="measured", written_at=NOON)


async def test_samples_and_their_tenants_are_stored_together(database: Database) -> None:
    await record_samples(samples(1.0, 2.0), database=database, at=NOON)

    assert latest(database, since=NOON)["value"].to_list() == [1.0, 2.0]
    tenants = database.cursor().execute("select tenant from tenants order by tenant").fetchall()
    assert tenants == [("t0",), ("t1",)]


def look(*rows: tuple[str, str, float], coverage: float = 1.0) -> pl.DataFrame:
    """SAMPLES of one look at which every tenant has a rate, and further rows."""
    tenants = sorted({tenant for tenant, _, _ in rows})
    return pl.DataFrame(
        [
            *((NOON, tenant, "samples_asked_per_second", 0.0, coverage) for tenant in tenants),
            *((NOON, tenant, signal, value, coverage) for tenant, signal, value in rows),
        ],
        schema=SAMPLES,
        orient="row",
    )


@pytest.mark.parametrize(
    "signal",
    [
        "ingestion_rate",
        "samples_received_per_second",
        "requests_asked_per_second",
        "queries_per_second",
        "ruler_query_seconds_per_second",
        "alertmanager_max_alerts_count",
        "alertmanager_notification_rate_limit",
        "ruler_max_rule_groups_per_tenant",
        "discarded_queries_per_second",
        "discarded_requests_per_second",
    ],
)
async def test_a_tenant_asks_by_whatever_it_does(database: Database, signal: str) -> None:
    await record_samples(look(("a", signal, 2.0)), database=database, at=NOON)

    assert activity(database)["last_demand"].to_list() == [NOON]


@pytest.mark.parametrize(
    ("signal", "value"),
    [
        pytest.param("max_global_series_per_user", 900.0, id="series-stay-for-hours"),
        pytest.param("active_series", 900.0, id="active-series-stay-for-minutes"),
        pytest.param("alertmanager_max_silences_count", 3.0, id="expired-silences"),
        pytest.param("store_gateway_bytes", 3.0, id="old-blocks"),
        pytest.param("queries_per_second", 0.0, id="nothing"),
    ],
)
async def test_what_lingers_of_a_tenant_asks_for_nothing(
    database: Database, signal: str, value: float
) -> None:
    await record_samples(look(("a", signal, value)), database=database, at=NOON)

    assert activity(database)["last_demand"].to_list() == [None]


async def test_a_look_without_rates_does_not_say_who_asked_for_nothing(database: Database) -> None:
    """
    The first look has levels only: nobody is seen to ask, so its hour does not count as quiet.
    """
    levels = pl.DataFrame([(NOON, "a", "active_series", 5.0, 1.0)], schema=SAMPLES, orient="row")
    hours = "select count(*) from looked_hours"

    await record_samples(levels, database=database, at=NOON)
    before = database.cursor().execute(hours).fetchone()
    await record_samples(look(("a", "active_series", 5.0)), database=database, at=NOON)

    assert before == (0,)
    assert database.cursor().execute(hours).fetchone() == (1,)


async def test_a_broken_sample_leaves_nothing_behind(database: Database) -> None:
    with pytest.raises(ValueError, match="not finite"):
        await record_samples(samples(1.0, float("inf")), database=database, at=NOON)

    assert latest(database, since=NOON).is_empty()


async def test_a_layer_is_replaced_whole(database: Database) -> None:
    await record_layer(optimized(1.0), layer="optimized", database=database, run_id="r")

    await record_layer(empty(LAYERS), layer="optimized", database=database, run_id="r")

    assert read_layers(database, now=NOON).is_empty()


async def test_decisions_and_the_layers_that_follow_are_stored_together(
    database: Database,
) -> None:
    decision = {
        "at": NOON,
        "tenant": "a",
        "limit": RATE,
        "outcome": "raise",
        "reason": "above_dead_band",
        "detail": "peak",
        "before": 1.0,
        "after": 2.0,
        "steps": "[]",
    }
    leaning = pl.DataFrame([("a", RATE, 2)], schema=LEANINGS, orient="row")
    found = Recommended(decisions=pl.DataFrame([decision], schema=DECISIONS), leanings=leaning)

    first, again = [
        await record(
            found,
            optimized=optimized(2.0),
            tiers=empty(LAYERS),
            database=database,
            run_id="r",
            flow="optimize",
            moved=moved,
        )
        for moved in (True, False)
    ]

    assert (first.height, again.height) == (1, 0), "the same decision is news once"
    assert read_layers(database, now=NOON)["value"].to_list() == [2.0]
    moved = moves(database, now=NOON, window=timedelta(days=1))
    assert moved.rows() == [("a", RATE, NOON, None, 0, 0, 0)], "a dry run moves nothing"
    assert leanings(database).equals(leaning)


async def test_the_operators_limits_are_replaced(database: Database) -> None:
    limits = pl.DataFrame([("", RATE, 10_000.0)], schema=LIMITS, orient="row")

    await record_observed(limits, database=database, at=NOON)

    assert observed_limits(database).equals(limits)


async def test_complete_buckets_are_rolled_up_once(database: Database) -> None:
    await record_samples(samples(1.0), database=database, at=NOON)
    later = NOON + timedelta(minutes=5)

    assert await rolled_up(database, at=later, sustained_for=timedelta(minutes=35)) == 1
    assert await rolled_up(database, at=later, sustained_for=timedelta(minutes=35)) == 0
