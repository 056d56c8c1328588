"""The past of the tenants is the same for the same seed, and the present continues it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import pytest

from simulator import SimulatorError, history, roster

New = Callable[..., Any]

LUNCH = datetime(2027, 3, 10, 12, 30, tzinfo=UTC)  # a Wednesday


def test_two_days_of_twenty_tenants_are_complete_and_ordered() -> None:
    rows = list(history(tenants=roster(20), until=LUNCH, days=2))

    instants = [at for at, _ in groupby(rows, key=lambda row: row.at)]
    assert len(rows) == 20 * 576
    assert instants == sorted(instants)
    assert (instants[0], instants[-1]) == (LUNCH - timedelta(days=2), LUNCH - timedelta(minutes=5))


def test_the_same_seed_tells_the_same_past_and_another_seed_another() -> None:
    first, again, other = (
        list(history(tenants=roster(8, seed=seed), until=LUNCH, days=1)) for seed in (1, 1, 2)
    )

    assert first == again
    assert first != other


def test_the_live_cluster_begins_where_the_past_ends(new_world: New) -> None:
    """
    Five minutes later nothing has jumped by more than noise and habit allow.
    """
    tenants = [tenant for tenant in roster(20) if tenant.habit not in ("bursty", "idle")]
    past = [
        row
        for row in history(tenants=tenants, until=LUNCH, days=1)
        if row.at == LUNCH - timedelta(minutes=5)
    ]
    unlimited = {
        "ingestion_rate": 1e6,
        "ingestion_burst_size": 10_000_000,
        "max_global_series_per_user": 0,
    }
    overrides = {tenant.name: unlimited for tenant in tenants}
    world = new_world(tenants, overrides, blast_after_seconds=1e6, started_at=LUNCH)
    world.live(60)
    asked = "cortex_distributor_samples_in_total"
    created = "cortex_ingester_memory_series_created_total"

    live_rates = [
        sum(world.value(f"distributor-{i}", asked, user=row.tenant) for i in range(2)) / 60
        for row in past
    ]
    live_series = [world.value("ingester-0", created, user=row.tenant) for row in past]

    assert live_rates == pytest.approx([row.samples_per_second for row in past], rel=0.08)
    assert live_series == pytest.approx([row.series for row in past], rel=0.04)


def test_the_busiest_distributor_has_more_than_its_even_part() -> None:
    rows = history(tenants=roster(20), until=LUNCH, days=1, distributors=2)

    assert all(
        row.samples_per_second / 2
        <= row.busiest_distributor_samples_per_second
        <= row.samples_per_second * 0.55
        for row in rows
    )


def test_a_naive_end_is_refused() -> None:
    with pytest.raises(SimulatorError, match="time zone"):
        next(history(tenants=roster(1), until=LUNCH.replace(tzinfo=None), days=1))
