"""What Mimir's processes use, told by themselves and by their cluster."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from policy.cluster_resources import ANSWER, cluster_resources
from policy.emergency.readings import look_of
from policy.frames import READINGS, SAMPLES, empty
from policy.resources import RESOURCES, resources, together
from policy.scrape import FAMILIES, Scrape
from tasks.exposition import read_pages

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STARTED = (NOON - timedelta(hours=1)).timestamp()
POD = "http://mimir-ingester-0.mimir:8080"
FIXTURES = Path(__file__).parent.parent / "fixtures" / "metrics"


def look(
    *values: tuple[str, float] | tuple[str, str, float],
    at: datetime = NOON,
    pod: str = POD,
    failed: tuple[str, ...] = (),
) -> Scrape:
    """A scrape of one pod: family and value, or family, limit and value."""
    rows = [
        {
            "at": at,
            "pod": pod,
            "family": told[0],
            "limit": told[1] if len(told) == 3 else None,
            "value": float(told[-1]),
        }
        for told in values
    ]
    return Scrape(
        at=at,
        readings=pl.DataFrame(rows, schema_overrides=dict(READINGS)).select(
            pl.col(name) if rows and name in rows[0] else pl.lit(None, dtype=kind).alias(name)
            for name, kind in READINGS.items()
        ),
        answered=(pod,),
        failed=dict.fromkeys(failed, "no answer"),
    )


def of(found: pl.DataFrame, resource: str, *, pod: str = POD) -> tuple[float | None, float | None]:
    row = found.filter(pod=pod, resource=resource).select("used", "limit").row(0)
    return (row[0], row[1])


def test_cpu_and_network_are_rates_between_two_looks() -> None:
    names = (
        "process_cpu_seconds_total",
        "process_network_receive_bytes_total",
        "process_network_transmit_bytes_total",
    )
    before = look(*((name, 100.0) for name in names), at=NOON - timedelta(seconds=10))
    now = look(*((name, 100.0 + 30 * n) for n, name in enumerate(names, start=1)))

    found = resources(now, before)

    assert found.schema == RESOURCES
    assert of(found, "cpu_cores") == (pytest.approx(3.0), None)
    assert of(found, "network_receive_bytes_per_second") == (pytest.approx(6.0), None)
    assert of(found, "network_transmit_bytes_per_second") == (pytest.approx(9.0), None)


def test_the_first_look_gives_no_rates_and_no_restarts() -> None:
    found = resources(look(("process_cpu_seconds_total", 5), ("process_start_time_seconds", 1)))

    assert set(found["resource"]) == {"up", "uptime_seconds"}


def test_a_limit_of_cores_without_a_rate_leaves_the_use_unknown() -> None:
    found = resources(look(("go_sched_gomaxprocs_threads", 4)))

    assert of(found, "cpu_cores") == (None, 4.0)


@pytest.mark.parametrize(("started", "restarts"), [(STARTED, 0.0), (STARTED + 1800, 1.0)])
def test_a_process_that_started_anew_has_restarted(started: float, restarts: float) -> None:
    before = look(("process_start_time_seconds", STARTED), at=NOON - timedelta(seconds=15))

    found = resources(look(("process_start_time_seconds", started)), before)

    assert of(found, "restarts") == (restarts, None)
    assert of(found, "uptime_seconds") == (pytest.approx(NOON.timestamp() - started), None)


def test_a_limit_of_the_process_stands_beside_what_it_bounds() -> None:
    found = resources(
        look(
            ("cortex_ingester_instance_limits", "max_series", 3_000_000),
            ("cortex_ingester_memory_series", 1_500_000),
            ("cortex_distributor_instance_limits", "max_inflight_push_requests", 2000),
            ("cortex_distributor_inflight_push_requests", 500),
        )
    )

    assert of(found, "ingester_max_series") == (1_500_000, 3_000_000)
    assert of(found, "distributor_max_inflight_push_requests") == (500, 2000)


def test_a_limit_of_zero_is_no_limit() -> None:
    found = resources(
        look(
            ("cortex_ingester_instance_limits", "max_series", 0),
            ("cortex_ingester_memory_series", 7),
        )
    )

    assert of(found, "ingester_max_series") == (7, None)


def test_a_process_that_does_not_answer_is_down_and_nothing_else_is_known_of_it() -> None:
    found = resources(look(("process_resident_memory_bytes", 5), failed=("http://b:1",)))

    assert of(found, "up") == (1.0, None)
    assert found.filter(pod="http://b:1").select("resource", "used").rows() == [("up", 0.0)]


@pytest.mark.parametrize(
    ("pod", "component"),
    [
        ("mimir-ruler-query-frontend-7d9-x", "ruler-query-frontend"),
        ("http://mimir-distributor:8080/prefix", "distributor"),
        ("http://10.0.0.7:8080", None),
        ("http://ingesters-of-old:80", None),
    ],
)
def test_the_name_of_a_pod_tells_its_component(pod: str, component: str | None) -> None:
    found = resources(look(("process_resident_memory_bytes", 5), pod=pod))

    assert set(found["component"]) == {component}


def test_a_captured_page_of_a_whole_mimir_is_understood() -> None:
    page = gzip.decompress((FIXTURES / "mimir-all-200-tenants.prom.gz").read_bytes())
    rows = read_pages({"http://mimir:1": page}, families=FAMILIES).rows
    at = pl.lit(NOON).cast(READINGS["at"])
    readings = rows.with_columns(at=at).select(READINGS.names())
    seen = Scrape(at=NOON, readings=readings, answered=("http://mimir:1",), failed={})

    found = resources(seen)

    said = dict(
        line.split(" ")
        for line in page.decode().splitlines()
        if line.startswith(("process_resident_memory_bytes ", "cortex_ingester_memory_series "))
    )
    memory = float(said["process_resident_memory_bytes"])
    assert of(found, "memory_bytes", pod="http://mimir:1") == (memory, None)
    assert of(found, "ingester_max_series", pod="http://mimir:1") == (
        float(said["cortex_ingester_memory_series"]),
        None,
    )
    assert set(found["component"]) == {"all"}


def answer(*rows: tuple[str, str | None, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=ANSWER, orient="row")


def test_the_cluster_tells_use_and_limit_of_each_pod() -> None:
    found = cluster_resources(
        {
            ("memory_bytes", "used"): answer(("mimir-ingester-0", "ingester", 3e9)),
            ("memory_bytes", "limit"): answer(("mimir-ingester-0", "ingester", 8e9)),
            ("disk_bytes", "used"): answer(("mimir-ingester-0", None, 4e9), ("grafana", None, 1.0)),
        }
    )

    assert found.rows() == [
        ("mimir-ingester-0", "ingester", "disk_bytes", 4e9, None),
        ("mimir-ingester-0", "ingester", "memory_bytes", 3e9, 8e9),
    ]


def test_without_answers_nothing_is_known() -> None:
    assert cluster_resources({}).is_empty()


def test_both_views_meet_at_the_pod_that_the_address_names() -> None:
    """
    The use is the process's word, which is newer; the limit is the cluster's, which enforces it.
    """
    own = resources(
        look(("process_resident_memory_bytes", 2e9), ("go_sched_gomaxprocs_threads", 64))
    )
    cluster = cluster_resources(
        {
            ("memory_bytes", "used"): answer(("mimir-ingester-0", "ingester", 3e9)),
            ("memory_bytes", "limit"): answer(("mimir-ingester-0", "ingester", 8e9)),
            ("cpu_cores", "limit"): answer(("mimir-ingester-0", "ingester", 4)),
            ("oom_killed", "used"): answer(("mimir-ingester-1", "ingester", 1)),
        }
    )

    found = together(own, cluster)

    assert found.schema == RESOURCES
    assert of(found, "memory_bytes") == (2e9, 8e9)
    assert of(found, "cpu_cores") == (None, 4)
    assert of(found, "oom_killed", pod="mimir-ingester-1") == (1, None)
    assert of(found, "up") == (1.0, None)


def memory(found: pl.DataFrame) -> list[float]:
    """Percent of memory in use, as the emergency levels read it."""
    told = look_of(found, samples=empty(SAMPLES), at=NOON, network_bytes_per_second=None)
    return [round(one.value, 3) for one in told.readings if one.resource == "memory"]


def test_the_live_heap_is_held_against_gomemlimit_and_resident_memory_is_not() -> None:
    """
    Resident memory sits near GOMEMLIMIT on a calm day: Go collects only when it must.
    """
    page = resources(
        look(
            ("process_resident_memory_bytes", 7.9e9),
            ("go_gc_heap_live_bytes", 4e9),
            ("go_gc_gomemlimit_bytes", 8e9),
        )
    )

    assert of(page, "memory_bytes") == (7.9e9, None)
    assert of(page, "heap_live_bytes") == (4e9, 8e9)
    assert memory(page) == [50.0]


@pytest.mark.parametrize(
    "told",
    [
        (("process_resident_memory_bytes", 7e9), ("go_gc_gomemlimit_bytes", 8e9)),
        (("go_gc_heap_live_bytes", 4e9), ("go_gc_gomemlimit_bytes", float(2**63 - 1))),
        (("go_gc_heap_live_bytes", 4e9), ("process_resident_memory_bytes", 7e9)),
    ],
    ids=["no live heap", "no GOMEMLIMIT", "no limit"],
)
def test_without_a_live_heap_or_a_gomemlimit_memory_is_unknown(
    told: tuple[tuple[str, float], ...],
) -> None:
    assert memory(resources(look(*told))) == []


def test_the_limit_of_the_container_wins_over_gomemlimit() -> None:
    page = resources(
        look(
            ("process_resident_memory_bytes", 6e9),
            ("go_gc_heap_live_bytes", 4e9),
            ("go_gc_gomemlimit_bytes", 5e9),
        )
    )
    cluster = cluster_resources(
        {("memory_bytes", "limit"): answer(("mimir-ingester-0", "ingester", 10e9))}
    )

    assert memory(together(page, cluster)) == [60.0]
