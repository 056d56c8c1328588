"""The pages carry Mimir's names and labels, and show what happened, faults included."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from simulator import Fault, SimulatorError, operator_overrides, roster

New = Callable[..., Any]
World = Any  # of the conftest, which tests cannot import

FAMILIES = {
    "distributor-0": {
        ("cortex_distributor_requests_in_total", "user,version"),
        ("cortex_distributor_samples_in_total", "user"),
        ("cortex_distributor_received_samples_total", "user"),
        ("cortex_distributor_exemplars_in_total", "user"),
        ("cortex_distributor_metadata_in_total", "user"),
        ("cortex_discarded_samples_total", "group,reason,user"),
        ("cortex_distributor_latest_seen_sample_timestamp_seconds", "user"),
        ("cortex_distributor_replication_factor", ""),
        ("cortex_distributor_instance_limits", "limit"),
        ("cortex_distributor_ingestion_rate_samples_per_second", ""),
        ("cortex_distributor_instance_rejected_requests_total", "reason"),
    },
    "ingester-2": {
        ("cortex_ingester_memory_series", ""),
        ("cortex_ingester_memory_users", ""),
        ("cortex_ingester_memory_series_created_total", "user"),
        ("cortex_ingester_memory_series_removed_total", "user"),
        ("cortex_ingester_active_series", "user"),
        ("cortex_ingester_local_limits", "limit,user"),
        ("cortex_ingester_ingested_samples_total", "user"),
        ("cortex_ingester_memory_metadata_created_total", "user"),
        ("cortex_ingester_memory_metadata_removed_total", "user"),
        ("cortex_ingester_tsdb_exemplar_series_with_exemplars_in_storage", "user"),
        ("cortex_discarded_samples_total", "group,reason,user"),
        ("cortex_ingester_instance_limits", "limit"),
    },
    "query-frontend": {
        ("cortex_query_frontend_queries_total", "op,user"),
        ("cortex_query_seconds_total", "sharded,user"),
        ("cortex_query_fetched_series_total", "user"),
        ("cortex_query_fetched_chunks_total", "user"),
        ("cortex_query_fetched_chunk_bytes_total", "user"),
        ("cortex_query_scheduler_queue_length", "user"),
    },
    "querier-1": set(),
    "overrides-exporter": {
        ("cortex_limits_defaults", "limit_name"),
        ("cortex_limits_overrides", "limit_name,user"),
        ("cortex_prometheus_rule_group_rules", "rule_group,user"),
        ("cortex_alertmanager_alerts_limiter_current_alerts", "user"),
        ("cortex_alertmanager_alerts_limiter_current_alerts_size_bytes", "user"),
        ("cortex_alertmanager_silences", "state,user"),
        ("cortex_alertmanager_notifications_total", "integration,user"),
    },
}
EVERYWHERE = {
    ("cortex_build_info", "branch,goversion,revision,version"),
    ("mimir_build_info", "branch,goversion,revision,version"),
    ("cortex_runtime_config_last_reload_successful", "config"),
    ("cortex_runtime_config_hash", "config,sha256"),
    ("process_cpu_seconds_total", ""),
    ("process_resident_memory_bytes", ""),
    ("process_start_time_seconds", ""),
    ("go_gc_gomemlimit_bytes", ""),
    ("go_gc_heap_live_bytes", ""),
    ("go_sched_gomaxprocs_threads", ""),
}


@pytest.fixture
def world(new_world: New) -> World:
    tenants = roster(20, seed=3)
    started = new_world(tenants, operator_overrides(tenants), blast_after_seconds=30)
    started.live(120)
    return started


@pytest.mark.parametrize("process", FAMILIES)
def test_a_page_has_mimirs_families_and_labels(world: World, process: str) -> None:
    shown = {
        (name, ",".join(sorted(key for key, _ in labels)))
        for name, labels in world.samples(process)
    }

    assert shown >= FAMILIES[process] | EVERYWHERE


@pytest.mark.parametrize("process", FAMILIES)
def test_every_family_has_its_type_once(world: World, process: str) -> None:
    page = world.get(f"/{process}/metrics").body

    families = list(text_string_to_metric_families(page))
    assert len(families) == len({family.name for family in families})
    assert {family.type for family in families} == {"counter", "gauge"}


@pytest.mark.parametrize("process", ["distributor-1", "ingester-0", "query-frontend"])
def test_counters_never_fall_until_the_process_restarts(world: World, process: str) -> None:
    before = world.samples(process)
    world.live(300)
    after = world.samples(process)

    counters = [key for key in before if key[0].endswith("_total")]
    assert all(after[key] >= before[key] for key in counters)

    world.cluster.inject(Fault(process=process, kind="reset"))
    reset = world.samples(process)

    assert all(reset.get(key, 0.0) <= after[key] for key in counters)
    assert sum(reset.get(key, 0.0) for key in counters) < sum(after[key] for key in counters)
    assert reset["process_start_time_seconds", frozenset()] == world.now


def test_people_ask_more_in_the_afternoon_than_at_night(new_world: New, one_tenant: New) -> None:
    asked = []
    for hour in (2, 14):
        world = new_world([one_tenant()], started_at=datetime(2026, 3, 3, hour, tzinfo=UTC))
        world.live(3_600)
        asked.append(world.value("query-frontend", "cortex_query_frontend_queries_total"))

    assert 0 < 2 * asked[0] < asked[1]


def test_a_restarted_ingester_replays_its_series(world: World) -> None:
    """
    In memory stays created minus removed, also after a restart.
    """
    before = world.value("ingester-0", "cortex_ingester_memory_series")

    world.cluster.inject(Fault(process="ingester-0", kind="reset"))

    created = world.value("ingester-0", "cortex_ingester_memory_series_created_total")
    assert world.value("ingester-0", "cortex_ingester_memory_series_removed_total") == 0
    assert created == pytest.approx(before, abs=20)


def test_a_silent_tenant_vanishes_from_the_distributors(new_world: New, one_tenant: New) -> None:
    """
    Absence is not zero: Mimir forgets a tenant after a quarter of an hour.
    """
    world = new_world([one_tenant("a"), one_tenant("b", habit="idle")])
    world.now += 7_200 - world.now % 7_200
    world.live(300)
    family = "cortex_distributor_samples_in_total"
    sending = world.value("distributor-0", family, user="b")

    world.live(1_800)

    assert sending > 0
    assert {
        dict(labels)["user"] for name, labels in world.samples("distributor-0") if name == family
    } == {"a"}
    assert world.value("ingester-0", "cortex_ingester_memory_users") == 2


def test_an_unreachable_process_answers_503_for_its_time(world: World) -> None:
    world.cluster.inject(Fault(process="ingester-1", kind="unreachable", seconds=60))

    during = world.get("/ingester-1/metrics").status
    other = world.get("/ingester-0/metrics").status
    world.live(61)

    assert (during, other) == (503, 200)
    assert world.get("/ingester-1/metrics").status == 200


def test_a_truncated_page_ends_in_the_middle_of_a_line(world: World) -> None:
    whole = world.get("/ingester-1/metrics").body
    world.cluster.inject(Fault(process="ingester-1", kind="truncated"))

    cut = world.get("/ingester-1/metrics").body

    assert whole.startswith(cut)
    assert not cut.endswith("\n")
    with pytest.raises(ValueError, match="float"):
        list(text_string_to_metric_families(cut))


def test_a_process_that_refuses_reloads_says_so_until_it_is_mended(world: World) -> None:
    success = "cortex_runtime_config_last_reload_successful"
    world.cluster.inject(Fault(process="ingester-1", kind="refuse_reload"))
    world.live(11)
    refused = world.value("ingester-1", success)

    world.cluster.mend("ingester-1")
    world.live(11)

    assert refused == 0
    assert world.value("ingester-0", success) == world.value("ingester-1", success) == 1


def test_a_fault_may_be_in_force_from_the_start(new_world: New, one_tenant: New) -> None:
    fault = Fault(process="distributor-0", kind="unreachable")
    world = new_world([one_tenant()], faults=[fault])

    assert world.get("/distributor-0/ready").status == 503


def test_a_fault_of_nobody_is_refused(world: World) -> None:
    with pytest.raises(SimulatorError, match="no process 'querier-7'"):
        world.cluster.inject(Fault(process="querier-7", kind="reset"))


@pytest.mark.parametrize("path", ["/", "/metrics", "/querier-7/metrics", "/ingester-0/flush"])
def test_an_unknown_path_is_404(world: World, path: str) -> None:
    assert world.get(path).status == 404


def test_user_limits_need_a_tenant(world: World) -> None:
    path = "/distributor-0/api/v1/user_limits"

    named = world.get(path, headers={"x-scope-orgid": "steady-3"})

    assert world.get(path).status == 401
    assert json.loads(named.body)["ingestion_rate"] == 50_000
    assert len(json.loads(named.body)) == 12


def test_the_difference_shows_only_what_is_not_the_default(new_world: New, one_tenant: New) -> None:
    world = new_world(
        [one_tenant()], {"1.0": {"ingestion_rate": 7}, "b": {"ingestion_rate": 10_000}}
    )

    diff = YAML(typ="safe").load(world.get("/ingester-0/runtime_config", query="mode=diff").body)
    whole = YAML(typ="safe").load(world.get("/ingester-0/runtime_config").body)

    assert diff == {"overrides": {"1.0": {"ingestion_rate": 7}}}
    assert whole["overrides"]["b"]["max_global_series_per_user"] == 150_000
    assert len(whole["overrides"]["b"]) > 100


def test_the_start_up_configuration_tells_target_and_defaults(world: World) -> None:
    config = YAML(typ="safe").load(world.get("/distributor-1/config").body)

    assert config["target"] == "distributor"
    assert config["limits"]["ingestion_rate"] == 10_000
    assert config["ingester"]["ring"]["replication_factor"] == 3


def test_statistics_are_json_for_who_asks_and_need_every_ingester(world: World) -> None:
    path = "/distributor-0/distributor/all_user_stats"

    stats = json.loads(world.get(path, headers={"accept": "application/json"}).body)
    table = world.get(path)
    world.cluster.inject(Fault(process="ingester-2", kind="unreachable"))

    steady = next(row for row in stats if row["userID"] == "steady-1")
    assert steady["ingestionRate"] == pytest.approx(3 * 2_000, rel=0.1)
    assert steady["numSeries"] == 3 * 30_000
    assert table.content_type == "text/html"
    assert world.get(path).status == 500


def test_the_version_is_told(world: World) -> None:
    build = json.loads(world.get("/ingester-0/api/v1/status/buildinfo").body)

    assert build["data"]["application"] == "Grafana Mimir"
    assert build["data"]["version"].startswith("3.")
