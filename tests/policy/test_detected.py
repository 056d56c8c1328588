"""What kind of cluster answers, told from its metrics alone."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from policy.detected import Detected, detected, product
from policy.frames import READINGS
from policy.scrape import FAMILIES, Scrape
from tasks.exposition import read_pages

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAGES = Path(__file__).parent.parent / "fixtures" / "metrics"


def captured(name: str) -> str:
    raw = (PAGES / name).read_bytes()
    return (gzip.decompress(raw) if name.endswith(".gz") else raw).decode()


def scrape(**pages: str) -> Scrape:
    named = {name.replace("_", "-"): page.encode() for name, page in pages.items()}
    rows = read_pages(named, families=FAMILIES).rows
    at_noon = pl.lit(NOON, dtype=READINGS["at"]).alias("at")
    readings = rows.with_columns(at_noon).select(READINGS.names())
    return Scrape(at=NOON, readings=readings, answered=tuple(named), failed={})


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("mimir-all-200-tenants.prom.gz", ("mimir", "classic", 1)),
        ("cortex-all-200-tenants.prom.gz", ("cortex", "classic", 1)),
        ("cortex-distributor-200-tenants.prom.gz", ("cortex", "classic", 1)),
        ("sample_distributor.prom", ("mimir", "classic", 3)),
        ("sample_ingester.prom", ("mimir", None, None)),
        ("sample_overrides_exporter.prom", ("mimir", None, None)),
    ],
)
def test_a_captured_page_tells_its_product_storage_and_replication(
    name: str, found: tuple[str, str | None, int | None]
) -> None:
    cluster = detected(scrape(p=captured(name)))

    assert (cluster.product, cluster.storage, cluster.replication_factor) == found
    assert cluster.versions == ()


def test_versions_are_all_that_run_and_other_labels_of_that_name_are_none() -> None:
    """
    In the middle of a rollout two versions run; requests carry a version of their own.
    """
    build = 'cortex_build_info{{branch="r",revision="r",version="{}"}} 1\n'
    cluster = detected(
        scrape(
            a=build.format("3.0.4"),
            b=build.format("2.17.1"),
            c=build.format("3.0.4")
            + 'cortex_distributor_requests_in_total{user="a",version="1.0"} 1\n',
            d=build.format("unknown"),
        )
    )

    assert cluster.versions == ("2.17.1", "3.0.4")
    assert cluster.product == "mimir"


def test_zones_are_read_from_the_names_of_the_pods() -> None:
    page = "cortex_distributor_ingest_storage_enabled 1\n"

    cluster = detected(
        scrape(
            mimir_ingester_zone_b_0=page, mimir_ingester_zone_a_11=page, mimir_distributor_7d4f=page
        )
    )

    assert cluster.zones == ("zone-a", "zone-b")
    assert cluster.storage == "ingest_storage"


def test_a_partition_ring_is_ingest_storage_though_no_distributor_answers() -> None:
    cluster = detected(scrape(i='cortex_partition_ring_partitions{state="Active"} 3\n'))

    assert cluster.storage == "ingest_storage"


def test_what_no_page_tells_is_not_guessed() -> None:
    quiet = scrape(i='cortex_ingester_active_series{user="a"} 3\n')

    assert product(quiet) is None
    assert detected(quiet) == Detected(
        product=None, versions=(), storage=None, replication_factor=None, zones=()
    )
