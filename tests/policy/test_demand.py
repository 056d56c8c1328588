"""What each tenant asked for, from two scrapes."""

from __future__ import annotations

import gzip
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from prometheus_client.parser import text_string_to_metric_families

from policy import signals
from policy.catalogue import limits
from policy.demand import demand
from policy.frames import LIMITS, READINGS, SAMPLES
from policy.measures import MEASURES
from policy.scrape import FAMILIES, Scrape
from tasks.exposition import read_pages

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECONDS = 15.0
PAGES = Path(__file__).parent.parent / "fixtures" / "metrics"

SAMPLES_IN = "cortex_distributor_samples_in_total"
EXEMPLARS_IN = "cortex_distributor_exemplars_in_total"
METADATA_IN = "cortex_distributor_metadata_in_total"
DEDUPED = "cortex_distributor_deduped_samples_total"
DISCARDED = "cortex_discarded_samples_total"
CREATED = "cortex_ingester_memory_series_created_total"
REMOVED = "cortex_ingester_memory_series_removed_total"
ACTIVE = "cortex_ingester_active_series"
OWNED = "cortex_ingester_owned_series"
LOCAL = "cortex_ingester_local_limits"
FACTOR = "cortex_distributor_replication_factor"
PARTITIONED = "cortex_distributor_ingest_storage_enabled"
DISCARDED_REQUESTS = "cortex_discarded_requests_total"
RECEIVED = "cortex_distributor_received_samples_total"


def captured(name: str) -> str:
    path = PAGES / name
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()


def scrape(pages: Mapping[str, str], *, at: datetime = NOON, failed: Iterable[str] = ()) -> Scrape:
    """A scrape of these pages, by pod."""
    read = read_pages({pod: page.encode() for pod, page in pages.items()}, families=FAMILIES)
    assert not read.refused
    at_that_time = pl.lit(at, dtype=READINGS["at"]).alias("at")
    readings = read.rows.with_columns(at_that_time).select(READINGS.names())
    return Scrape(
        at=at, readings=readings, answered=tuple(pages), failed=dict.fromkeys(failed, "refused")
    )


def two_scrapes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Scrape, Scrape]:
    """(current, previous), fifteen seconds apart."""
    return scrape(after, at=NOON + timedelta(seconds=SECONDS)), scrape(before)


def page(*lines: str) -> str:
    return "".join(f"{line}\n" for line in (*lines, "cortex_runtime_config_hash 1"))


def values(frame: pl.DataFrame, signal: str) -> dict[str, float]:
    rows = frame.filter(pl.col("signal") == signal)
    return dict(rows.select("tenant", "value").iter_rows())


def by_reference(text: str, family: str, *, key: str = "user") -> dict[str, float]:
    """Sums by one label, found by the reference parser."""
    sums: dict[str, float] = defaultdict(float)
    wanted = "".join(line for line in text.splitlines(keepends=True) if line.startswith(family))
    for metric in text_string_to_metric_families(wanted):
        for sample in metric.samples:
            if sample.name == family:
                sums[sample.labels[key]] += sample.value
    return dict(sums)


def grown(text: str) -> str:
    """The page with each counter of ours grown by an amount that its line decides."""
    counter = re.compile(r"^(cortex_\w+_total(?:\{[^}]*\})?) (\S+)$", re.MULTILINE)

    def grow(found: re.Match[str]) -> str:
        more = zlib.crc32(found[1].encode()) % 100_000
        return f"{found[1]} {float(found[2]) + more!r}"

    return counter.sub(grow, text)


def sum_of_rates(before: str, after: str, *families: str) -> dict[str, float]:
    rates: dict[str, float] = defaultdict(float)
    for family in families:
        old = by_reference(before, family)
        for user, value in by_reference(after, family).items():
            rates[user] += (value - old.get(user, 0.0)) / SECONDS
    return dict(rates)


@pytest.mark.parametrize(
    "name",
    [
        "cortex-distributor-200-tenants.prom.gz",
        "mimir-all-200-tenants.prom.gz",
        "mimir-all-10-tenants.prom.gz",
    ],
)
def test_the_rates_of_a_captured_page_are_those_of_the_reference_parser(name: str) -> None:
    before = captured(name)
    after = grown(before)

    found = demand(*two_scrapes({"d": before}, {"d": after}))

    expected = sum_of_rates(before, after, SAMPLES_IN, EXEMPLARS_IN, METADATA_IN)
    assert values(found, signals.INGESTION_RATE) == pytest.approx(expected)
    assert values(found, signals.INGESTION_BURST_SIZE) == pytest.approx(expected)
    assert len(expected) > 10
    assert min(expected.values()) > 0
    assert found.schema == SAMPLES
    assert found.null_count().sum_horizontal().item() == 0


def test_accepted_samples_are_counted_after_the_limiter_in_mimir_and_before_it_in_cortex() -> None:
    """
    In both captured pages the tenant `blast` is at its rate limit.
    """
    accepted = {}
    for product in ("mimir-all", "cortex-distributor"):
        before = captured(f"{product}-200-tenants.prom.gz")
        after = grown(before)
        found = demand(*two_scrapes({"d": before}, {"d": after}))
        accepted[product] = values(found, signals.SAMPLES_RECEIVED)
        received = sum_of_rates(before, after, RECEIVED)
        limited = sum_of_rates(before, after, DISCARDED)["blast"]
        if product == "cortex-distributor":
            received["blast"] -= limited

        assert limited > 0
        assert accepted[product] == pytest.approx(received)

    assert min(map(len, accepted.values())) >= 202


@pytest.mark.parametrize(
    "name",
    [
        "cortex-all-200-tenants.prom.gz",
        "mimir-all-200-tenants.prom.gz",
        "mimir-all-2000-tenants.prom.gz",
    ],
)
def test_the_series_of_a_captured_page_are_those_of_the_reference_parser(name: str) -> None:
    text = captured(name)

    found = demand(scrape({"http://127.0.0.1:9009": text}), None)

    created, removed = by_reference(text, CREATED), by_reference(text, REMOVED)
    in_memory = {user: created[user] - removed[user] for user in created}
    assert values(found, signals.SERIES) == pytest.approx(in_memory)
    assert values(found, signals.ACTIVE_SERIES) == pytest.approx(by_reference(text, ACTIVE))
    assert len(in_memory) >= 202


def test_in_a_captured_page_the_share_of_the_local_limit_gives_the_same_series() -> None:
    """
    One ingester holds the whole limit there: local and global limits are equal.
    """
    text = captured("mimir-all-200-tenants.prom.gz")
    local = by_reference(text, LOCAL)
    limits = pl.DataFrame(
        [(user, signals.SERIES, value) for user, value in local.items()],
        schema=LIMITS,
        orient="row",
    )

    found = demand(scrape({"i": text}), None, limits=limits)

    assert values(found, signals.SERIES) == pytest.approx(
        values(demand(scrape({"i": text}), None), signals.SERIES)
    )


def test_the_limiters_demand_is_samples_exemplars_and_metadata_without_ha_duplicates() -> None:
    counters = (SAMPLES_IN, EXEMPLARS_IN, METADATA_IN, DEDUPED)
    before = page(*(f'{name}{{user="a"}} 0' for name in counters))
    grew = dict(zip(counters, (3000, 300, 150, 1500), strict=True))
    after = page(*(f'{name}{{user="a"}} {value}' for name, value in grew.items()))

    found = demand(*two_scrapes({"d": before}, {"d": after}))

    assert values(found, signals.INGESTION_RATE) == {"a": (3000 + 300 + 150 - 1500) / SECONDS}


def distributors(family: str, *rates: float, user: str = "a") -> tuple[Scrape, Scrape]:
    """(current, previous) of distributors that get so much of one tenant per second."""
    other = f'{family}{{user="other"}} 1'
    before = {f"d{n}": page(f'{family}{{user="{user}"}} 0', other) for n in range(len(rates))}
    after = {
        f"d{n}": page(f'{family}{{user="{user}"}} {SECONDS * rate}', other)
        for n, rate in enumerate(rates)
    }
    return two_scrapes(before, after)


def test_an_even_tenant_asks_for_the_sum_and_the_burst_is_that_of_the_busiest() -> None:
    found = demand(*distributors(SAMPLES_IN, 30, 30, 30))

    assert values(found, signals.INGESTION_RATE)["a"] == 90.0
    assert values(found, signals.SAMPLES_ASKED)["a"] == 90.0
    assert values(found, signals.INGESTION_BURST_SIZE)["a"] == 30.0


@pytest.mark.parametrize(
    ("family", "limit", "asked"),
    [
        pytest.param(SAMPLES_IN, signals.INGESTION_RATE, signals.SAMPLES_ASKED, id="samples"),
        pytest.param(
            "cortex_distributor_requests_in_total",
            signals.REQUEST_RATE,
            signals.REQUESTS_ASKED,
            id="requests",
        ),
    ],
)
def test_a_rate_limit_is_as_high_as_its_share_must_be_on_the_busiest_distributor(
    family: str, limit: str, asked: str
) -> None:
    """
    Each of three distributors lets a third of the limit through, wherever the tenant sends.
    """
    found = demand(*distributors(family, 10, 70, 20))

    assert values(found, limit)["a"] == 70.0 * 3
    assert values(found, asked)["a"] == 100.0


def test_a_tenant_on_one_connection_has_one_share_however_many_distributors_there_are() -> None:
    found = demand(*distributors(SAMPLES_IN, 50, 0, 0, 0))

    assert values(found, signals.INGESTION_RATE)["a"] == 50.0 * 4
    assert values(found, signals.SAMPLES_ASKED)["a"] == 50.0


def test_a_distributor_that_a_tenant_never_used_shares_its_limit_too() -> None:
    """
    A process that tells nothing of distributors has no share.
    """
    current, previous = (
        scrape(
            {
                "d0": page(f'{SAMPLES_IN}{{user="a"}} {SECONDS * rate}'),
                "d1": page(f'{SAMPLES_IN}{{user="b"}} {SECONDS * rate}'),
                "i0": page(f'{ACTIVE}{{user="a"}} 1'),
            },
            at=NOON + timedelta(seconds=seconds),
        )
        for rate, seconds in ((50.0, SECONDS), (0.0, 0.0))
    )

    found = demand(current, previous)

    assert values(found, signals.INGESTION_RATE) == {"a": 100.0, "b": 100.0}


def test_in_cortex_the_busiest_distributor_is_not_taken_for_one_of_equal_shares() -> None:
    """
    Whether Cortex divides the limit is a setting that no page shows; as delivered it does not.
    """
    build = 'cortex_build_info{version="1.19.0"} 1'
    before = {pod: page(f'{SAMPLES_IN}{{user="a"}} 0', build) for pod in "xy"}
    after = {
        pod: page(f'{SAMPLES_IN}{{user="a"}} {SECONDS * rate}', build)
        for pod, rate in {"x": 10, "y": 70}.items()
    }

    found = demand(*two_scrapes(before, after))

    assert values(found, signals.INGESTION_RATE) == {"a": 80.0}


def test_a_tenant_at_its_limit_still_shows_what_it_asked_for() -> None:
    """
    Received stops at the limit, so received is not the demand.
    """
    received = "cortex_distributor_received_samples_total"
    before = page(f'{SAMPLES_IN}{{user="a"}} 0', f'{received}{{user="a"}} 0')
    after = page(f'{SAMPLES_IN}{{user="a"}} 15000', f'{received}{{user="a"}} 1500')

    found = demand(*two_scrapes({"d": before}, {"d": after}))

    assert values(found, signals.INGESTION_RATE) == {"a": 1000.0}
    assert values(found, signals.SAMPLES_RECEIVED) == {"a": 100.0}


def test_discards_are_grouped_by_what_they_say_of_the_limits_and_counted_once() -> None:
    """
    Every replica counts a sample that it refuses; a distributor counts it alone.
    """
    grew = {
        "rate_limited": 1500,
        "per_user_series_limit": 4500,
        "per_user_active_series_limit": 150,
        "sample-out-of-order": 900,
        "label_value_too_long": 30,
    }
    before = page(f"{FACTOR} 3", *(f'{DISCARDED}{{user="a",reason="{r}"}} 0' for r in grew))
    after = page(
        f"{FACTOR} 3", *(f'{DISCARDED}{{user="a",reason="{r}"}} {n}' for r, n in grew.items())
    )

    found = demand(*two_scrapes({"d": before}, {"d": after}))

    assert values(found, signals.DISCARDED_RATE_LIMITED) == {"a": 1500 / SECONDS}
    assert values(found, signals.DISCARDED_SERIES_LIMIT) == {"a": (4500 / 3 + 150) / SECONDS}
    assert values(found, signals.DISCARDED_ACTIVE_SERIES) == {}
    assert values(found, signals.DISCARDED_QUALITY) == {"a": 900 / 3 / SECONDS}
    assert values(found, signals.DISCARDED_LABEL_VALUE) == {"a": 30 / SECONDS}


def ingesters(*series: int, factor: int = 3, local: int | None = None) -> dict[str, str]:
    """Pages of ingesters that hold so many series of tenant a."""
    return {
        f"http://ingester-{n}:8080": page(
            f"{FACTOR} {factor}",
            f'{CREATED}{{user="a"}} {held + 500}',
            f'{REMOVED}{{user="a"}} 500',
            f'{ACTIVE}{{user="a"}} {held}',
            *([f'{LOCAL}{{limit="{signals.SERIES}",user="a"}} {local}'] if local else []),
        )
        for n, held in enumerate(series)
    }


def series_limit(value: float) -> pl.DataFrame:
    return pl.DataFrame([("a", signals.SERIES, value)], schema=LIMITS, orient="row")


def test_even_replicas_are_counted_once() -> None:
    found = demand(scrape(ingesters(100, 100, 100, 100, 100, 100)), None)

    assert values(found, signals.SERIES) == {"a": 600 / 3}
    assert values(found, signals.ACTIVE_SERIES) == {"a": 600 / 3}


def test_without_local_limits_the_series_are_scaled_by_their_skew() -> None:
    found = demand(scrape(ingesters(50, 50, 50, 150, 0, 0)), None)

    mean_of_holders = 300 / 4
    assert values(found, signals.SERIES) == {"a": pytest.approx(300 / 3 * 150 / mean_of_holders)}


def test_the_fullest_ingesters_share_of_its_local_limit_decides() -> None:
    """
    Six ingesters at replication 3 each enforce half of the global limit.
    """
    current = scrape(ingesters(100, 100, 450, 100, 100, 100, local=500))

    found = demand(current, None, limits=series_limit(1000))

    assert values(found, signals.SERIES) == {"a": 450 / 500 * 1000}


def test_a_global_limit_that_the_ingesters_have_not_loaded_yet_is_not_taken_for_demand() -> None:
    """
    Just after a raise from 1000 to 10000 the local limits are still those of 1000.
    """
    current = scrape(ingesters(100, 100, 450, 100, 100, 100, local=500))

    found = demand(current, None, limits=series_limit(10_000))

    assert values(found, signals.SERIES) == {"a": pytest.approx(450 * 6 / 3)}


@pytest.mark.parametrize(
    ("local", "limit"),
    [pytest.param(2_147_483_647, 1000, id="local"), pytest.param(500, 0, id="global")],
)
def test_an_unlimited_tenant_has_a_demand_all_the_same(local: int, limit: float) -> None:
    current = scrape(ingesters(100, 100, 100, local=local))

    found = demand(current, None, limits=series_limit(limit))

    assert values(found, signals.SERIES) == {"a": 100.0}


def test_owned_series_count_where_they_are_tracked() -> None:
    pages = {
        pod: text + f'{OWNED}{{user="a"}} 60\n' for pod, text in ingesters(100, 100, 100).items()
    }

    found = demand(scrape(pages), None)

    assert values(found, signals.SERIES) == {"a": 60.0}


def test_with_ingest_storage_the_zones_hold_copies_of_one_partition() -> None:
    """
    Partition 0 is held by ordinal 0 of each zone, and the fuller copy counts.
    """
    held = {"zone-a-0": 100, "zone-b-0": 90, "zone-a-1": 80, "zone-b-1": 100}
    pages = {
        f"http://mimir-ingester-{name}.mimir.svc:8080": page(
            f"{PARTITIONED} 1",
            f'{CREATED}{{user="a"}} {series}',
            f'{REMOVED}{{user="a"}} 0',
            f'{ACTIVE}{{user="a"}} {series}',
        )
        for name, series in held.items()
    }

    found = demand(scrape(pages), None)

    assert values(found, signals.ACTIVE_SERIES) == {"a": 200.0}
    assert values(found, signals.SERIES) == {"a": 200.0}


def test_with_ingest_storage_an_address_written_with_dashes_is_no_ordinal() -> None:
    pages = {
        f"http://10-0-0-{n}.mimir.pod:8080": page(f"{PARTITIONED} 1", f'{ACTIVE}{{user="a"}} 10')
        for n in (17, 18)
    } | {"http://10.0.1.17:8080": page(f'{ACTIVE}{{user="a"}} 10')}

    assert values(demand(scrape(pages), None), signals.ACTIVE_SERIES) == {"a": 30.0}


def test_without_a_replication_factor_nothing_is_divided() -> None:
    found = demand(scrape({"i": page(f'{ACTIVE}{{user="a"}} 10')}), None)

    assert values(found, signals.ACTIVE_SERIES) == {"a": 10.0}


def test_the_replication_factor_is_remembered_when_no_distributor_answers() -> None:
    """
    Otherwise an outage of the distributors would show as three times the series.
    """
    ingester = page(f'{ACTIVE}{{user="a"}} 30')
    previous = scrape({"d": page(f"{FACTOR} 3"), "i": ingester})
    current = scrape({"i": ingester}, at=NOON + timedelta(seconds=SECONDS), failed=["d"])

    assert values(demand(current, previous), signals.ACTIVE_SERIES) == {"a": 10.0}


def test_without_an_earlier_scrape_there_are_gauges_and_no_rates() -> None:
    found = demand(scrape({"d": captured("mimir-all-10-tenants.prom.gz")}), None)

    assert set(found.get_column("signal")) == {
        signals.SERIES,
        signals.SERIES_FULLEST_SHARE,
        signals.ACTIVE_SERIES,
        "max_global_exemplars_per_user",
    }


# By signal: the family's labels and values of two pods, and what they come to, on a classic ring
# of two replicas.
LEVELS = {
    signals.OWNED_SERIES: (OWNED, [('user="a"', 30), ('user="a"', 50)], 40.0),
    "max_global_exemplars_per_user": (
        "cortex_ingester_tsdb_exemplar_series_with_exemplars_in_storage",
        [('user="a"', 10), ('user="a"', 40)],
        40.0 * 2 / 2,
    ),
    "alertmanager_max_alerts_count": (
        "cortex_alertmanager_alerts_limiter_current_alerts",
        [('user="a"', 7), ('user="a"', 6)],
        7.0,
    ),
    "alertmanager_max_alerts_size_bytes": (
        "cortex_alertmanager_alerts_limiter_current_alerts_size_bytes",
        [('user="a"', 700), ('user="a"', 600)],
        700.0,
    ),
    "max_active_series_per_user": (
        "cortex_usage_tracker_active_series",
        [('user="a"', 5), ('user="a"', 6)],
        11.0,
    ),
    signals.QUERY_QUEUE_LENGTH: (
        "cortex_query_scheduler_queue_length",
        [('user="a"', 5), ('user="a"', 6)],
        11.0,
    ),
}


@pytest.mark.parametrize("signal", LEVELS)
def test_a_level_is_put_together_as_its_pods_hold_it(signal: str) -> None:
    """
    Ingesters hold copies, and enforce a share each; alertmanagers hold everything each.
    """
    family, samples, expected = LEVELS[signal]
    pages = {
        f"p{n}": page(f"{FACTOR} 2", f"{family}{{{labels}}} {value}")
        for n, (labels, value) in enumerate(samples)
    }

    found = demand(scrape(pages), None)

    assert values(found, signal) == {"a": expected}


def test_rule_groups_are_counted_and_the_fullest_one_is_found() -> None:
    rules = "cortex_prometheus_rule_group_rules"
    pages = {
        "r0": page(
            f'{rules}{{rule_group="f;x",user="a"}} 4', f'{rules}{{rule_group="f;y",user="a"}} 9'
        ),
        "r1": page(
            f'{rules}{{rule_group="f;z",user="a"}} 2', f'{rules}{{rule_group="f;x",user="b"}} 1'
        ),
    }

    found = demand(scrape(pages), None)

    assert values(found, "ruler_max_rule_groups_per_tenant") == {"a": 3.0, "b": 1.0}
    assert values(found, "ruler_max_rules_per_rule_group") == {"a": 9.0, "b": 1.0}


def test_silences_of_all_states_count_on_the_replica_that_has_the_most() -> None:
    silences = "cortex_alertmanager_silences"
    pages = {
        pod: page(
            f'{silences}{{state="active",user="a"}} {active}',
            f'{silences}{{state="expired",user="a"}} {expired}',
        )
        for pod, active, expired in (("m0", 2, 9), ("m1", 3, 7))
    }

    assert values(demand(scrape(pages), None), "alertmanager_max_silences_count") == {"a": 11.0}


def test_ha_clusters_are_counted_once_however_many_distributors_know_them() -> None:
    elected = "cortex_ha_tracker_elected_replica_timestamp_seconds"
    text = page(*(f'{elected}{{cluster="{name}",user="a"}} 17e8' for name in ("x", "y", "z")))

    assert values(demand(scrape({"d0": text, "d1": text}), None), "ha_max_clusters") == {"a": 3.0}


def test_metadata_in_memory_is_what_was_created_and_not_removed() -> None:
    created, removed = (
        f"cortex_ingester_memory_metadata_{done}_total" for done in ("created", "removed")
    )
    text = page(f'{created}{{user="a"}} 90', f'{removed}{{user="a"}} 20')

    assert values(demand(scrape({"i": text}), None), "max_global_metadata_per_user") == {"a": 70.0}


def test_each_zone_tracks_all_active_series() -> None:
    pages = {
        f"usage-tracker-zone-{zone}-{n}": page(
            f'cortex_usage_tracker_active_series{{user="a"}} {held}'
        )
        for zone, n, held in (("a", 0, 10), ("a", 1, 20), ("b", 0, 12), ("b", 1, 21))
    }

    assert values(demand(scrape(pages), None), "max_active_series_per_user") == {"a": 33.0}


def test_the_fullest_ingesters_share_of_its_local_limit_is_told() -> None:
    found = demand(scrape(ingesters(100, 100, 450, local=500)), None)

    assert values(found, signals.SERIES_FULLEST_SHARE) == {"a": 450 / 500}


def test_active_series_are_not_told_while_an_ingester_reloads_its_trackers() -> None:
    loading = "cortex_ingester_active_series_loading"
    pages = {
        "i0": page(
            f'{ACTIVE}{{user="a"}} 1', f'{loading}{{user="a"}} 1', f'{ACTIVE}{{user="b"}} 1'
        ),
        "i1": page(
            f'{ACTIVE}{{user="a"}} 1', f'{loading}{{user="b"}} 0', f'{ACTIVE}{{user="b"}} 1'
        ),
    }

    assert values(demand(scrape(pages), None), signals.ACTIVE_SERIES) == {"b": 2.0}


def test_request_rates_count_the_refused_and_their_burst_is_the_busiest_distributors() -> None:
    """
    A refused request is in no family but that of the discards.
    """
    requests, refused = "cortex_distributor_requests_in_total", "cortex_discarded_requests_total"

    def distributor(let_in: float, kept_out: float) -> str:
        return page(
            f'{requests}{{user="a",version="1.0"}} {let_in}',
            f'{requests}{{user="a",version="2.0"}} {let_in}',
            f'{refused}{{reason="rate_limited",user="a"}} {kept_out}',
        )

    before = dict.fromkeys(("d0", "d1"), distributor(0, 0))
    after = {"d0": distributor(150, 300), "d1": distributor(75, 0)}

    found = demand(*two_scrapes(before, after))

    assert values(found, signals.REQUESTS_ASKED) == {"a": (300 + 300 + 150) / SECONDS}
    assert values(found, signals.REQUEST_RATE) == {"a": (300 + 300) * 2 / SECONDS}
    assert values(found, signals.REQUEST_BURST_SIZE) == {"a": (300 + 300) / SECONDS}
    assert values(found, signals.DISCARDED_REQUESTS) == {"a": 300 / SECONDS}


def test_samples_of_refused_requests_are_demand_though_nobody_counted_them() -> None:
    """
    Mimir refuses by request_rate before it reads the body.
    """
    families = ("cortex_distributor_requests_in_total", SAMPLES_IN)
    refused = 'cortex_discarded_requests_total{reason="rate_limited",user="a"}'
    before = page(*(f'{name}{{user="a"}} 0' for name in families), f"{refused} 0")
    after = page(f'{families[0]}{{user="a"}} 30', f'{SAMPLES_IN}{{user="a"}} 6000', f"{refused} 15")

    found = demand(*two_scrapes({"d": before}, {"d": after}))

    assert values(found, signals.SAMPLES_PER_REQUEST) == {"a": 200.0}
    assert values(found, signals.INGESTION_RATE) == {"a": pytest.approx((6000 + 3000) / SECONDS)}


def test_a_storm_of_retries_counts_at_most_as_much_again_as_what_was_let_in() -> None:
    """
    A client that sends each refused request again and again asks for no more samples by it.
    """
    families = ("cortex_distributor_requests_in_total", SAMPLES_IN)
    refused = 'cortex_discarded_requests_total{reason="rate_limited",user="a"}'
    before = page(*(f'{name}{{user="a"}} 0' for name in families), f"{refused} 0")
    storm = page(
        f'{families[0]}{{user="a"}} 30', f'{SAMPLES_IN}{{user="a"}} 6000', f"{refused} 30000"
    )

    found = demand(*two_scrapes({"d": before}, {"d": storm}))

    assert values(found, signals.INGESTION_RATE) == {"a": pytest.approx(2 * 6000 / SECONDS)}
    assert values(found, signals.SAMPLES_ASKED) == {"a": pytest.approx(2 * 6000 / SECONDS)}
    assert values(found, signals.INGESTION_BURST_SIZE) == {"a": pytest.approx(2 * 6000 / SECONDS)}


@pytest.mark.parametrize(
    ("also", "asked", "rate"),
    [
        pytest.param("", 100, 100, id="ruler"),
        pytest.param(f'{CREATED}{{user="a"}} 1', 140, 200, id="all"),
    ],
)
def test_what_a_ruler_writes_is_accepted_and_no_demand_on_the_rate(
    also: str, asked: float, rate: float
) -> None:
    """
    A ruler embeds a distributor without a limiter; a process of everything in one is no ruler.
    """
    counters = (SAMPLES_IN, RECEIVED)
    ruler = ('cortex_prometheus_rule_group_rules{rule_group="x",user="a"} 4', also)
    before = {
        "d": page(*(f'{name}{{user="a"}} 0' for name in counters)),
        "r": page(*ruler, *(f'{name}{{user="a"}} 0' for name in counters)),
    }
    after = {
        "d": page(*(f'{name}{{user="a"}} {100 * SECONDS}' for name in counters)),
        "r": page(*ruler, *(f'{name}{{user="a"}} {40 * SECONDS}' for name in counters)),
    }

    found = demand(*two_scrapes(before, after))

    assert values(found, signals.SAMPLES_ASKED) == {"a": asked}
    assert values(found, signals.INGESTION_RATE) == {"a": rate}
    assert values(found, signals.SAMPLES_RECEIVED) == {"a": 140.0}


def test_query_signals_add_up_and_federated_queries_are_left_out() -> None:
    queries = "cortex_query_frontend_queries_total"
    before = page(*(f'{queries}{{op="{op}",user="a"}} 0' for op in ("query", "query_range")))
    after = page(
        f'{queries}{{op="query",user="a"}} 30',
        f'{queries}{{op="query_range",user="a"}} 60',
        f'{queries}{{op="query",user="a|b"}} 600',
        'cortex_query_fetched_series_total{user="a"} 900',
        'cortex_query_fetched_chunk_bytes_total{user="a"} 0',
    )

    found = demand(*two_scrapes({"f": before}, {"f": after}))

    assert values(found, signals.QUERIES) == {"a": 90 / SECONDS}
    assert values(found, signals.FETCHED_SERIES) == {"a": 900 / SECONDS}
    assert values(found, signals.FETCHED_CHUNK_BYTES) == {}


def test_buckets_of_native_histograms_are_told_per_second_and_per_histogram() -> None:
    names = [
        f"cortex_distributor_received_native_histogram_{what}_total"
        for what in ("samples", "buckets")
    ]
    before = page(*(f'{name}{{user="{user}"}} 0' for name in names for user in "ab"))
    after = page(
        f'{names[0]}{{user="a"}} 30',
        f'{names[1]}{{user="a"}} 1200',
        *(f'{name}{{user="b"}} 0' for name in names),
    )

    found = demand(*two_scrapes({"d": before}, {"d": after}))

    assert values(found, signals.NATIVE_HISTOGRAM_BUCKETS) == {"a": 1200 / SECONDS}
    assert values(found, signals.BUCKETS_PER_NATIVE_HISTOGRAM) == {"a": 40.0}


def test_every_limit_with_a_demand_is_a_limit_that_exists() -> None:
    """
    A signal is a limit's name or one of our own; a typing error would be neither.
    """
    ours = {
        value for name, value in vars(signals).items() if name.isupper() and isinstance(value, str)
    }
    told = {signal for measure in MEASURES for signal in measure.told_as.values()}

    assert told - ours <= set(limits())


def test_rows_carry_the_time_and_the_coverage_of_the_scrape() -> None:
    text = captured("mimir-all-10-tenants.prom.gz")
    current = scrape({"a": text, "b": text, "c": text}, failed=["d"])

    found = demand(current, None)

    assert found.get_column("coverage").unique().to_list() == [0.75]
    assert found.get_column("at").unique().to_list() == [NOON]


def test_the_coverage_of_a_rate_leaves_out_pods_that_are_new() -> None:
    """
    A pod with one page has no rate, so the sum of the rates misses it.
    """
    before = {"x": page(f'{SAMPLES_IN}{{user="a"}} 0')}
    after = before | {"y": page(f'{SAMPLES_IN}{{user="a"}} 9', f'{ACTIVE}{{user="a"}} 1')}

    found = demand(*two_scrapes(before, after))

    rows = found.select("signal", "coverage").rows()
    assert dict(rows) == {
        signals.INGESTION_RATE: 0.5,
        signals.SAMPLES_ASKED: 0.5,
        signals.INGESTION_BURST_SIZE: 0.5,
        signals.ACTIVE_SERIES: 1.0,
    }


def test_when_no_pod_answered_there_is_nothing() -> None:
    current = scrape({}, failed=["x", "y"])

    found = demand(current, scrape({"x": page(f'{SAMPLES_IN}{{user="a"}} 0')}))

    assert found.is_empty()
    assert found.schema == SAMPLES


def test_without_the_family_that_matters_the_rest_does_not_pass_for_the_demand() -> None:
    """A Prometheus that keeps the metadata and drops the samples shows no quiet tenant."""
    before = page(f'{METADATA_IN}{{user="a"}} 0', f'{DISCARDED_REQUESTS}{{user="a",reason="x"}} 0')
    after = page(f'{METADATA_IN}{{user="a"}} 15', f'{DISCARDED_REQUESTS}{{user="a",reason="x"}} 15')
    current, previous = two_scrapes({"d-0": before}, {"d-0": after})

    found = demand(current, previous)

    assert values(found, "ingestion_rate") == {}
    assert values(found, "request_rate") == {}
    assert values(found, signals.DISCARDED_REQUESTS) == {"a": 1.0}


def created(*values: float, started: float | None = None) -> str:
    """The page of an ingester on which tenants a, b ... have created so many series."""
    lines = [
        f'{CREATED}{{user="{tenant}"}} {value:g}'
        for tenant, value in zip("ab", values, strict=False)
    ]
    age = [] if started is None else [f"process_start_time_seconds {started}"]
    return page(*lines, *age)


def new_series(before: str, after: str) -> dict[str, float]:
    current, previous = two_scrapes({"ingester-0": before}, {"ingester-0": after})
    return values(demand(current, previous), signals.SERIES_CREATED_RATE)


def test_who_creates_no_series_is_told_as_such() -> None:
    assert new_series(created(100, 100), created(100, 400)) == {"a": 0.0, "b": 300 / SECONDS}


def test_series_that_an_ingester_reads_from_its_log_are_not_new() -> None:
    """It had just started: a tenant's counter appears with all its series, or begins again."""
    young = NOON.timestamp() - 60

    replaying = new_series(created(5_000, started=young), created(900, 700, started=young))

    assert replaying == {}
    assert new_series(created(900, 700, started=young), created(930, 700, started=young)) == {
        "a": 30 / SECONDS,
        "b": 0.0,
    }


def test_the_first_series_of_a_tenant_on_an_ingester_that_has_long_run_are_new() -> None:
    old = NOON.timestamp() - 86_400

    assert new_series(created(100, started=old), created(100, 600, started=old)) == {
        "a": 0.0,
        "b": 600 / SECONDS,
    }
