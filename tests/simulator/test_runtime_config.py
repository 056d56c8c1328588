"""The runtime file is read as strictly as Mimir reads it, by each process on its own tick."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from simulator import Cluster, SimulatorError
from simulator.errors import RuntimeFileError
from simulator.runtime_file import load

New = Callable[..., Any]

SUCCESS = "cortex_runtime_config_last_reload_successful"
HASH = "cortex_runtime_config_hash"

REJECTED = {
    "broken YAML": "overrides: [",
    "unknown limit": "overrides:\n  a:\n    ingestion_rat: 5",
    "unknown top-level key": "override: {}",
    "limit of old versions": "overrides: {a: {metric_relabeling_enabled: true}}",
    "key of other systems": "hard_overrides: {}",
    "duplicate tenant": "overrides:\n  a: {ingestion_rate: 5}\n  a: {ingestion_rate: 6}",
    "duplicate tenant in JSON": '{"overrides": {"a": {}, "a": {}}}',
    "the same tenant as number and text": "overrides:\n  1: {}\n  '1': {}",
    "quoted number": 'overrides: {a: {ingestion_rate: "800"}}',
    "two documents": "overrides: {}\n---\noverrides: {}",
    "limit beside the tenants": "overrides: {ingestion_rate: 5}",
    "a list": "- overrides",
    "bool for a number": "overrides: {a: {ingestion_rate: true}}",
    "number for a bool": "overrides: {a: {accept_ha_samples: 1}}",
    "bad duration": "overrides: {a: {max_query_lookback: 5 minutes}}",
    "infinite series": "overrides: {a: {max_global_series_per_user: .inf}}",
}


@pytest.mark.parametrize("text", REJECTED.values(), ids=REJECTED.keys())
def test_a_mistake_rejects_the_whole_file(text: str) -> None:
    with pytest.raises(RuntimeFileError):
        load((text,))


@pytest.mark.parametrize(
    ("limit", "written", "meant"),
    [
        ("ingestion_rate", "8e+2", 800.0),
        ("ingestion_rate", "-5", -5.0),
        ("max_global_series_per_user", "1.5e+06", 1_500_000),
        ("max_global_series_per_user", "1500.5", 1_500),
        ("max_query_lookback", "1d12h", "1d12h"),
        ("max_query_lookback", "0", "0s"),
        ("accept_ha_samples", "true", True),
    ],
)
def test_mimir_accepts_more_than_is_wise(limit: str, written: str, meant: object) -> None:
    loaded = load((f"overrides: {{a: {{{limit}: {written}}}}}",))

    assert loaded.overrides == {"a": {limit: meant}}


def test_files_merge_left_to_right_and_null_falls_back_to_the_default() -> None:
    left = "overrides: {a: {ingestion_rate: 5, request_rate: 7}, b: {ingestion_rate: 6}}"
    right = '{"overrides": {"a": {"ingestion_rate": 50, "request_rate": null}, "1": {}}}'

    loaded = load((left, right))

    assert loaded.overrides == {"a": {"ingestion_rate": 50}, "b": {"ingestion_rate": 6}, "1": {}}


def test_a_mapping_in_one_file_and_a_scalar_in_another_do_not_merge() -> None:
    with pytest.raises(RuntimeFileError, match=r"overrides\.a"):
        load(("overrides: {a: {ingestion_rate: 5}}", "overrides: {a: 5}"))


def test_the_hash_is_of_the_meaning_not_of_the_bytes() -> None:
    assert (
        load(("overrides: {a: {ingestion_rate: 5}}",)).sha256
        == load(('{"overrides": {"a": {"ingestion_rate": 5.0}}}',)).sha256
        != load(("overrides: {a: {ingestion_rate: 6}}",)).sha256
    )


def test_a_rejected_file_keeps_the_last_good_and_sticks_until_it_parses(
    new_world: New, one_tenant: New
) -> None:
    world = new_world([one_tenant("a")], {"a": {"ingestion_rate": 700}})
    good = world.cluster.distributors[0].config.current.sha256

    world.file.write_text("overrides: {a: {ingestion_rate: 900, no_such_limit: 1}}")
    world.live(11)

    assert world.value("distributor-0", SUCCESS) == 0
    assert world.value("distributor-0", HASH, sha256=good, config="mimir-runtime-config") == 1

    world.write({"a": {"ingestion_rate": 900}})
    world.live(11)

    assert world.value("distributor-0", SUCCESS) == 1
    assert world.value("distributor-0", HASH, sha256=good) == 0


def test_an_empty_file_drops_every_override(new_world: New, one_tenant: New) -> None:
    world = new_world([one_tenant("a")], {"a": {"ingestion_rate": 700}})

    world.file.write_text("")
    world.live(11)

    assert world.value("overrides-exporter", SUCCESS) == 1
    assert world.value("overrides-exporter", "cortex_limits_overrides") == 0


def test_a_file_that_vanishes_is_a_failed_reload(new_world: New, one_tenant: New) -> None:
    world = new_world([one_tenant("a")], {"a": {"ingestion_rate": 700}})

    world.file.unlink()
    world.live(11)

    assert world.value("ingester-1", SUCCESS) == 0
    assert world.cluster.ingesters[1].config.current.number("a", "ingestion_rate") == 700


def test_the_processes_apply_on_their_own_ticks(new_world: New, one_tenant: New) -> None:
    """
    Whoever verifies a change has to wait for all of them, one reload period at the most.
    """
    world = new_world([one_tenant("a")])
    world.live(30)
    world.write({"a": {"ingestion_rate": 700}})

    known = []
    while len(known) < 11:
        world.live(1)
        known.append(
            sum(p.config.current.overrides != {} for p in world.cluster.processes.values())
        )

    assert known == sorted(known)
    assert len({count for count in known if 0 < count < 9}) > 0
    assert known[-1] == 9


def test_a_missing_file_at_the_start_is_one_clear_line(new_world: New, one_tenant: New) -> None:
    world = new_world([one_tenant("a")])
    world.file.unlink()

    with pytest.raises(SimulatorError, match=r"runtime\.json does not exist; create it with"):
        Cluster(world.plan, clock=lambda: world.now)


def test_an_override_equal_to_the_default_is_not_exported(new_world: New, one_tenant: New) -> None:
    world = new_world([one_tenant("a")])
    series = "max_global_series_per_user"
    default = world.value("overrides-exporter", "cortex_limits_defaults", limit_name=series)

    world.write({"a": {"ingestion_rate": 700, series: default}})
    world.live(11)

    exported = "cortex_limits_overrides"
    assert world.value("overrides-exporter", exported, limit_name="ingestion_rate", user="a") == 700
    assert world.value("overrides-exporter", exported, limit_name=series) == 0


def test_instance_limits_in_the_file_show_on_the_page(new_world: New, one_tenant: New) -> None:
    world = new_world([one_tenant("a")])

    world.file.write_text(json.dumps({"ingester_limits": {"max_series": 5_000_000}}))
    world.live(11)

    limits = "cortex_ingester_instance_limits"
    assert world.value("ingester-0", limits, limit="max_series") == 5_000_000
