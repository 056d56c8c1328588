"""The demand that is read from a simulated cluster is what its tenants are made to ask."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from policy import signals
from policy.demand import demand
from policy.detected import Detected, detected
from policy.discards import discards
from policy.frames import READINGS
from policy.scrape import FAMILIES, Scrape
from simulator import Cluster, Plan, Request, Tenant, respond
from tasks.exposition import read_pages

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
SECONDS = 60
STEADY = Tenant(
    name="steady",
    habit="steady",
    samples_per_second=4_000,
    series=60_000,
    churn_per_second=0,
    key=7,
)
OTHER = Tenant(
    name="other", habit="steady", samples_per_second=400, series=9_000, churn_per_second=0, key=8
)


class Clock:
    def __init__(self) -> None:
        self.now = NOON.timestamp()


def scrape(cluster: Cluster, *, at: datetime) -> Scrape:
    bodies = {
        name: respond(cluster, Request(path=f"/{name}/metrics")).body.encode()
        for name in cluster.processes
    }
    read = read_pages(bodies, families=FAMILIES)
    assert not read.refused
    readings = read.rows.with_columns(pl.lit(at, dtype=READINGS["at"]).alias("at"))
    return Scrape(
        at=at, readings=readings.select(READINGS.names()), answered=tuple(bodies), failed={}
    )


@pytest.fixture
def scrapes(tmp_path: Path) -> tuple[Scrape, Scrape]:
    """(current, previous) of two tenants, one of them at half of its rate."""
    file = tmp_path / "runtime.json"
    file.write_text(
        '{"overrides": {"steady": {"ingestion_rate": 2000, "ingestion_burst_size": 2000}}}'
    )
    clock = Clock()
    cluster = Cluster(Plan(tenants=[STEADY, OTHER], runtime_files=[file]), clock=lambda: clock.now)
    clock.now += SECONDS
    previous = scrape(cluster, at=NOON)
    clock.now += SECONDS
    return scrape(cluster, at=NOON + timedelta(seconds=SECONDS)), previous


def values(frame: pl.DataFrame, signal: str) -> dict[str, float]:
    return dict(frame.filter(pl.col("signal") == signal).select("tenant", "value").iter_rows())


def test_what_the_tenants_ask_for_is_found_though_half_of_it_is_refused(
    scrapes: tuple[Scrape, Scrape],
) -> None:
    found = demand(*scrapes)

    asked = {tenant.name: tenant.samples_per_second for tenant in (STEADY, OTHER)}
    assert values(found, signals.INGESTION_RATE) == pytest.approx(asked, rel=0.05)
    assert values(found, signals.SAMPLES_RECEIVED)["steady"] == pytest.approx(2_000, rel=0.05)
    assert values(found, signals.DISCARDED_RATE_LIMITED)["steady"] == pytest.approx(2_000, rel=0.1)
    requests = {
        tenant.name: asked[tenant.name] / tenant.samples_per_request for tenant in (STEADY, OTHER)
    }
    assert values(found, signals.REQUEST_RATE) == pytest.approx(requests, rel=0.06)
    sizes = {tenant.name: tenant.samples_per_request for tenant in (STEADY, OTHER)}
    assert values(found, signals.SAMPLES_PER_REQUEST) == pytest.approx(sizes, rel=0.01)


def test_every_discard_is_known_by_its_reason(scrapes: tuple[Scrape, Scrape]) -> None:
    found = discards(*scrapes)

    assert set(found.select("tenant", "reason", "kind").iter_rows()) == {
        ("steady", "rate_limited", "pressure")
    }


def test_every_other_signal_of_the_simulator_has_a_row_for_each_tenant(
    scrapes: tuple[Scrape, Scrape],
) -> None:
    found = demand(*scrapes)

    for signal in (
        signals.SERIES,
        signals.SERIES_FULLEST_SHARE,
        signals.QUERIES,
        signals.FETCHED_SERIES,
        signals.FETCHED_CHUNK_BYTES,
        "max_global_metadata_per_user",
        "max_global_exemplars_per_user",
        "ruler_max_rule_groups_per_tenant",
        "ruler_max_rules_per_rule_group",
        "alertmanager_max_alerts_count",
        "alertmanager_max_alerts_size_bytes",
        "alertmanager_max_silences_count",
    ):
        assert set(values(found, signal)) == {"steady", "other"}, signal
    assert values(found, "ruler_max_rule_groups_per_tenant") == {"steady": 4.0, "other": 1.0}
    assert values(found, "max_global_metadata_per_user")["other"] == pytest.approx(
        9_000 / 40, rel=0.01
    )


def test_the_simulator_is_taken_for_a_classic_mimir(scrapes: tuple[Scrape, Scrape]) -> None:
    assert detected(scrapes[0]) == Detected(
        product="mimir", versions=("3.0.3",), storage="classic", replication_factor=3, zones=()
    )
