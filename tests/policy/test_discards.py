"""What the reasons of discards say of the limits."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from prometheus_client.parser import text_string_to_metric_families

from policy import signals
from policy.demand import demand
from policy.discards import DISCARDS, discards
from policy.frames import LIMITS, READINGS
from policy.scrape import FAMILIES, Scrape
from tasks.exposition import read_pages

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECONDS = 15.0
PAGES = Path(__file__).parent.parent / "fixtures" / "metrics"
SAMPLES = "cortex_discarded_samples_total"


def scrape(text: str, *, seconds: float = 0.0) -> Scrape:
    at = NOON + timedelta(seconds=seconds)
    rows = read_pages({"p": text.encode()}, families=FAMILIES).rows
    at_that_time = pl.lit(at, dtype=READINGS["at"]).alias("at")
    readings = rows.with_columns(at_that_time).select(READINGS.names())
    return Scrape(at=at, readings=readings, answered=("p",), failed={})


def refused(*rows: tuple[str, str, float], factor: int = 1) -> tuple[Scrape, Scrape]:
    """(current, previous) of one tenant; rows are (family, reason, how many)."""
    scrapes = []
    for share, seconds in ((1.0, SECONDS), (0.0, 0.0)):
        lines = [
            f'{family}{{reason="{reason}",user="a"}} {count * share}'
            for family, reason, count in rows
        ]
        text = "".join(f"{line}\n" for line in [f"cortex_distributor_replication_factor {factor}"])
        scrapes.append(scrape(text + "".join(f"{line}\n" for line in lines), seconds=seconds))
    return scrapes[0], scrapes[1]


def told(current: Scrape, previous: Scrape) -> dict[str, float]:
    rows = demand(current, previous).filter(pl.col("signal").str.starts_with("discarded"))
    return dict(rows.select("signal", "value").iter_rows())


@pytest.mark.parametrize(
    ("reason", "limit"),
    [
        ("rate_limited", "ingestion_rate"),
        ("rate_limited", "ingestion_burst_size"),
        ("per_user_series_limit", "max_global_series_per_user"),
        ("per_metric_series_limit", "max_global_series_per_metric"),
        ("per_labelset_series_limit", "limits_per_label_set"),
        ("max_label_names_per_series", "max_label_names_per_series"),
        ("max_label_names_per_info_series", "max_label_names_per_info_series"),
        ("label_name_too_long", "max_label_name_length"),
        ("label_value_too_long", "max_label_value_length"),
        ("labels_size_bytes_exceeded", "max_labels_size_bytes"),
        ("max_native_histogram_buckets", "max_native_histogram_buckets"),
        ("native_histogram_buckets_exceeded", "max_native_histogram_buckets"),
        ("native_histogram_rate_limited", "native_histogram_ingestion_rate"),
        ("too_many_ha_clusters", "ha_max_clusters"),
    ],
)
def test_a_reason_presses_on_its_limit(reason: str, limit: str) -> None:
    current, previous = refused((SAMPLES, reason, 150))

    assert told(current, previous) == {signals.PRESSURE_ON[limit]: 150 / SECONDS}


@pytest.mark.parametrize(
    ("active_limit", "limit"),
    [
        pytest.param(500.0, "max_active_series_per_user", id="its-own"),
        pytest.param(0.0, "max_global_series_per_user", id="none"),
        pytest.param(None, "max_global_series_per_user", id="unknown"),
    ],
)
def test_refused_active_series_press_on_the_limit_that_refused_them(
    active_limit: float | None, limit: str
) -> None:
    """
    Without a limit of its own the usage-tracker enforces the one on all series.
    """
    current, previous = refused((SAMPLES, "per_user_active_series_limit", 150))
    rows = [] if active_limit is None else [("a", "max_active_series_per_user", active_limit)]
    limits = pl.DataFrame(rows, schema=LIMITS, orient="row")

    found = demand(current, previous, limits=limits)

    pressures = dict(
        found.filter(pl.col("signal").str.starts_with("discarded"))
        .select("signal", "value")
        .iter_rows()
    )
    assert pressures == {signals.PRESSURE_ON[limit]: 150 / SECONDS}


def test_active_series_and_series_in_memory_are_refused_apart() -> None:
    assert signals.PRESSURE_ON["max_active_series_per_user"] != signals.PRESSURE_ON[signals.SERIES]


@pytest.mark.parametrize(
    "reason",
    [
        "sample-out-of-order",
        "sample_out_of_order",
        "too_far_in_future",
        "greater_than_max_sample_age",
        "missing_metric_name",
        "relabel_configuration",
    ],
)
def test_bad_data_is_never_pressure(reason: str) -> None:
    current, previous = refused((SAMPLES, reason, 150))

    assert told(current, previous) == {signals.DISCARDED_QUALITY: 150 / SECONDS}
    assert signals.DISCARDED_QUALITY not in signals.PRESSURE_ON.values()


@pytest.mark.parametrize("reason", ["new-value-for-timestamp", "sample_duplicate_timestamp"])
def test_what_was_sent_twice_is_told_apart_and_is_no_pressure(reason: str) -> None:
    current, previous = refused((SAMPLES, reason, 150))

    assert told(current, previous) == {signals.DISCARDED_DUPLICATES: 150 / SECONDS}
    assert signals.DISCARDED_DUPLICATES not in signals.PRESSURE_ON.values()


def test_an_unknown_reason_is_told_by_its_name_and_never_pressure() -> None:
    current, previous = refused((SAMPLES, "solar_flare", 150))

    found = discards(current, previous)

    assert found.rows(named=True) == [
        {
            "tenant": "a",
            "family": SAMPLES,
            "reason": "solar_flare",
            "kind": "other",
            "signal": signals.DISCARDED_OTHER,
            "per_second": 150 / SECONDS,
        }
    ]
    assert signals.DISCARDED_OTHER not in signals.PRESSURE_ON.values()


@pytest.mark.parametrize(
    ("reason", "copies"),
    [
        ("rate_limited", 1),
        ("per_user_series_limit", 3),
        ("sample-too-old", 3),
        ("some-new-reason", 3),
        ("some_new_reason", 1),
    ],
)
def test_what_each_replica_refused_counts_once(reason: str, copies: int) -> None:
    """
    Ingesters write their reasons with hyphens, which tells where an unknown one is from.
    """
    current, previous = refused((SAMPLES, reason, 450), factor=3)

    found = discards(current, previous)

    assert found.get_column("per_second").to_list() == [450 / copies / SECONDS]
    assert list(told(current, previous).values()) == [450 / copies / SECONDS]


def test_the_same_reason_presses_on_another_limit_for_requests_than_for_items() -> None:
    current, previous = refused(
        (SAMPLES, "rate_limited", 150),
        ("cortex_discarded_exemplars_total", "rate_limited", 15),
        ("cortex_discarded_metadata_total", "rate_limited", 30),
        ("cortex_discarded_requests_total", "rate_limited", 60),
        ("cortex_discarded_metadata_total", "per_user_metadata_limit", 45),
    )

    assert told(current, previous) == {
        signals.DISCARDED_RATE_LIMITED: (150 + 15 + 30) / SECONDS,
        signals.DISCARDED_REQUESTS: 60 / SECONDS,
        signals.DISCARDED_METADATA: 45 / SECONDS,
    }


def test_a_full_queue_and_refused_notifications_are_pressure_too() -> None:
    current, previous = refused(
        ("cortex_query_scheduler_discarded_requests_total", "", 30),
        ("cortex_alertmanager_notification_rate_limited_total", "", 15),
        ("cortex_alertmanager_alerts_insert_limited_total", "", 45),
        ("cortex_query_frontend_rejected_queries_total", "blocked", 60),
    )

    assert told(current, previous) == {
        signals.PRESSURE_ON["max_queriers_per_tenant"]: 30 / SECONDS,
        signals.PRESSURE_ON["alertmanager_notification_rate_limit"]: 15 / SECONDS,
        signals.PRESSURE_ON["alertmanager_max_alerts_count"]: 45 / SECONDS,
        signals.DISCARDED_OTHER: 60 / SECONDS,
    }


@pytest.mark.parametrize(
    "name",
    [
        "cortex-all-200-tenants.prom.gz",
        "cortex-distributor-200-tenants.prom.gz",
        "mimir-all-200-tenants.prom.gz",
        "sample_distributor.prom",
        "sample_ingester.prom",
    ],
)
def test_the_discards_of_a_captured_page_are_those_of_the_reference_parser(name: str) -> None:
    """
    Nothing was refused before, so all of each counter grew. No page that tells a replication
    factor above 1 has discards of an ingester.
    """
    raw = (PAGES / name).read_bytes()
    text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode()
    wanted = "".join(line for line in text.splitlines(True) if line.startswith("cortex_discarded_"))
    expected = {
        (sample.labels["user"], sample.name, sample.labels["reason"]): sample.value / SECONDS
        for family in text_string_to_metric_families(wanted)
        for sample in family.samples
        if sample.name.endswith("_total") and sample.value > 0
    }
    quiet = "".join(line for line in text.splitlines(True) if "cortex_discarded_" not in line)

    found = discards(scrape(text, seconds=SECONDS), scrape(quiet))

    rows = found.select("tenant", "family", "reason", "per_second").iter_rows()
    assert {key: value for *labels, value in rows for key in [tuple(labels)]} == pytest.approx(
        expected
    )
    assert expected
    assert "other" not in found.get_column("kind")


def test_without_an_earlier_scrape_nothing_is_known_of_discards() -> None:
    current, _ = refused((SAMPLES, "rate_limited", 150))

    assert discards(current, None).schema == DISCARDS
    assert discards(current, None).is_empty()
