"""What the audit tells of the runs of a whole loop, and where else it is handed to."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kmock import RawHandler

from flows.auditing import MIRRORED_EVERY
from flows.maintain import maintain
from flows.optimize import optimize
from flows.protect import protect
from policy.audit import AuditEntry
from policy.errors import ConfigError, OptimizerError
from simulator import Fault
from storage.audit import append_audit, newest_entries
from tasks.kubernetes_client import api_client
from tests.flows.test_reverting import TENANT, looks, lowered_below_demand
from tests.tasks.test_audit_mirror import NAMED, PLACE, OurApi
from tests.tasks.test_configmap_sink import told
from tests.tasks.test_kubernetes_pods import kubeconfig

INTERVAL = 15.0
NewWorld = Callable[..., Any]

pytestmark = pytest.mark.kmock(cls=RawHandler)


@pytest.fixture(autouse=True)
def _new_clients() -> Iterator[None]:
    api_client.cache_clear()
    yield
    api_client.cache_clear()


def entries(world: Any, *actions: str) -> list[dict[str, Any]]:  # noqa: ANN401 - of conftest
    """The entries with one of these actions, or all, oldest first, their details parsed."""
    found = newest_entries(world.database, newest=10_000).reverse()
    return [
        row | {"details": json.loads(row["details"])}
        for row in found.iter_rows(named=True)
        if not actions or row["action"] in actions
    ]


def of_file(world: Any) -> list[str]:  # noqa: ANN401 - of conftest
    return [json.loads(line)["action"] for line in log_file(world).read_text().splitlines()]


def log_file(world: Any) -> Path:  # noqa: ANN401 - of conftest
    return Path(world.folder / "audit.jsonl")


def metric(world: Any, name: str, **labels: str) -> float | None:  # noqa: ANN401 - of conftest
    value = world.runtime.telemetry.registry.get_sample_value(
        f"mimir_limit_optimizer_audit_{name}", labels
    )
    return None if value is None else float(value)


async def test_before_and_after_are_what_mimir_had_and_has(new_world: NewWorld) -> None:
    world = new_world()
    await world.run(protect)
    every = [(tenant, limit) for tenant, limit, _ in all_loaded(world)]
    had = {pair: world.loaded(*pair) for pair in every}

    await world.run(optimize, after=INTERVAL)
    await world.run(protect, after=INTERVAL)

    changed = entries(world, "limit_changed")
    assert changed
    for entry in changed:
        limit, details = entry["details"]["limit"], entry["details"]
        assert details["before"] != details["after"]
        assert details["before"] == had[entry["tenant"], limit]
        assert details["after"] == world.loaded(entry["tenant"], limit)
    (confirmed,) = entries(world, "revision_confirmed")
    assert confirmed["success"]
    assert {entry["run_id"] for entry in changed} == {confirmed["run_id"]}


def all_loaded(world: Any) -> list[tuple[str, str, float]]:  # noqa: ANN401 - of conftest
    """Each tenant with each limit that is decided on."""
    limits = ("ingestion_rate", "ingestion_burst_size", "max_global_series_per_user")
    return [
        (tenant.name, limit, world.loaded(tenant.name, limit))
        for tenant in world.cluster.plan.tenants
        for limit in limits
    ]


async def test_what_is_put_back_is_a_change_back_of_each_limit(new_world: NewWorld) -> None:
    world = new_world()
    await world.run(protect)
    world.cluster.inject(Fault(process="ingester-1", kind="refuse_reload"))
    await world.run(optimize, after=INTERVAL)

    await world.run(protect, after=INTERVAL)

    moves = [
        (
            entry["tenant"],
            entry["details"]["limit"],
            entry["details"]["before"],
            entry["details"]["after"],
        )
        for entry in entries(world, "limit_changed")
    ]
    there, back = moves[: len(moves) // 2], moves[len(moves) // 2 :]
    assert there
    assert sorted(back) == sorted((tenant, limit, b, a) for tenant, limit, a, b in there)
    (reverted,) = entries(world, "revision_reverted")
    assert not reverted["success"]
    assert "was put back" in reverted["details"]["detail"]


async def test_a_process_that_died_right_after_writing_leaves_no_gap(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = new_world()
    await world.run(protect)

    def dies(*_: object, **__: object) -> None:
        raise ConfigError("killed")

    with monkeypatch.context() as broken:
        broken.setattr("tasks.publish.limits_changed", dies)
        with pytest.raises(ConfigError):
            await world.run(optimize, after=INTERVAL)
    assert entries(world, "limit_changed") == []
    world.restart()

    await world.run(protect, after=INTERVAL)
    await world.run(protect, after=INTERVAL)

    entered = entries(world, "limit_changed")
    assert {entry["details"]["revision"] for entry in entered} == {2}
    assert len(entered) == len({(e["tenant"], e["details"]["limit"]) for e in entered}) > 0


async def test_while_it_is_off_nothing_at_all_is_entered(new_world: NewWorld) -> None:
    world = new_world(tree={"mode": "prod", "auditLog": {"enabled": False}})
    await world.run(protect)
    world.cluster.blast("steady-1", factor=20, seconds=120)
    world.cluster.inject(Fault(process="ingester-1", kind="refuse_reload"))
    for flow in (optimize, protect, protect, protect):
        await world.run(flow, after=INTERVAL)
    world.tree = world.tree | {"publish": {"paused": True, "file": {"path": str(world.file)}}}
    await world.run(protect, after=INTERVAL)

    assert ("optimizer", "reverted") in world.revisions()
    assert not world.layer("breaker").is_empty()
    assert entries(world) == []


async def test_a_refused_plan_is_entered_once(new_world: NewWorld) -> None:
    world = new_world()
    paused = {"paused": True, "file": {"path": str(world.file)}}
    world.tree = {"mode": "prod", "publish": paused}

    for flow in (protect, optimize, protect, protect):
        await world.run(flow, after=INTERVAL)

    (refused,) = entries(world, "publish_refused")
    assert not refused["success"]
    assert refused["details"]["problems"] == [
        "publish.paused is true: changes wait until it is false"
    ]


async def test_what_cannot_be_written_is_entered(new_world: NewWorld) -> None:
    world = new_world()
    await world.run(protect)

    def full(*_: object, **__: object) -> None:
        raise OptimizerError("no space left")

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr("tasks.sinks.file.FileSink.write", full)
        with pytest.raises(OptimizerError):
            await world.run(optimize, after=INTERVAL)

    (failed,) = entries(world, "publish_failed")
    assert not failed["success"]
    assert failed["details"]["detail"] == "not written: no space left"
    assert entries(world, "limit_changed") == []


async def test_a_run_that_fails_and_works_again_is_entered_at_both_ends(
    new_world: NewWorld,
) -> None:
    world = new_world()
    tree, away = world.tree, {"mimir": {"endpoints": ["http://127.0.0.1:9"]}}
    log = {"auditLog": {"file": str(log_file(world))}}
    await world.run(protect)

    world.tree = {**tree, **log, **away}
    for _ in range(3):
        with pytest.raises(OptimizerError):
            await world.run(protect, after=INTERVAL)
    assert of_file(world).count("run_failed") == 1, "the file has it while it still fails"
    world.tree = {**tree, **log}
    for _ in range(2):
        await world.run(protect, after=INTERVAL)

    turns = entries(world, "run_failed", "run_recovered")
    assert [(e["action"], e["category"], e["component"], e["success"]) for e in turns] == [
        ("run_failed", "performance", "protect", False),
        ("run_recovered", "performance", "protect", True),
    ]


async def test_a_tenant_that_blasts_is_held_and_released_once_each(new_world: NewWorld) -> None:
    world = new_world()
    for flow in (protect, optimize, protect):
        await world.run(flow, after=INTERVAL)
    limit = world.loaded("steady-1")
    world.cluster.blast("steady-1", factor=20, seconds=300)

    for _ in range(4):
        await world.run(protect, after=INTERVAL)
    world.restart()
    for _ in range(45):
        await world.run(protect, after=INTERVAL)

    turns = entries(world, "tenant_held", "tenant_released")
    assert [(e["action"], e["category"], e["tenant"]) for e in turns] == [
        ("tenant_held", "security", "steady-1"),
        ("tenant_released", "security", "steady-1"),
    ]
    assert turns[0]["details"]["limits"]["ingestion_rate"] < limit
    assert turns[0]["details"]["reason"].startswith("breaker open: ")
    assert turns[1]["details"] == {"reason": "the blast is over"}


async def test_in_a_dry_run_a_blast_is_entered_as_what_was_seen(new_world: NewWorld) -> None:
    world = new_world(tree={"mode": "dry-run"})
    for flow in (protect, optimize, protect):
        await world.run(flow, after=INTERVAL)
    world.cluster.blast("steady-1", factor=20, seconds=60)

    for _ in range(40):
        await world.run(protect, after=INTERVAL)

    found = entries(world)
    assert {(e["action"], e["category"]) for e in found} == {
        ("breaker_turned", "security"),
        ("breaker_metrics_named", "security"),
    }
    turns = entries(world, "breaker_turned")
    assert [e["details"]["after"] for e in turns][:3] == ["open", "half_open", "cooling"]
    assert not any(e["details"]["acting"] for e in turns)


async def test_a_lowering_that_is_taken_back_is_entered_with_both_values(
    new_world: NewWorld,
) -> None:
    world = new_world()
    before, after = await lowered_below_demand(world)

    await looks(world, 6)

    taken = [
        entry
        for entry in entries(world, "lowering_reverted")
        if entry["details"]["limit"] == "ingestion_rate"
    ]
    (entry,) = taken
    assert (entry["category"], entry["tenant"]) == ("performance", TENANT)
    assert (entry["details"]["before"], entry["details"]["after"]) == (after, before)


async def test_what_somebody_changes_in_the_settings_is_entered_key_by_key(
    new_world: NewWorld,
) -> None:
    secret = {"headers": {"Authorization": "t0ken"}}
    world = new_world(tree={"mode": "dry-run"})
    await world.run(protect)

    world.tree = {"mode": "prod", "bufferPercentage": 30, "promql": secret}
    for _ in range(2):
        await world.run(protect, after=INTERVAL)

    changed = entries(world, "settings_changed")
    assert [entry["details"] for entry in changed] == [
        {"key": "bufferPercentage", "before": 20.0, "after": 30.0},
        {"key": "mode", "before": "dry-run", "after": "prod"},
        {"key": "promql.headers.Authorization", "before": None, "after": "********"},
    ]
    assert {(entry["category"], entry["actor"]) for entry in changed} == {("user", "operator")}


async def test_a_broken_change_of_the_settings_is_entered_and_that_it_was_mended(
    new_world: NewWorld,
) -> None:
    world = new_world(tree={"mode": "dry-run"})
    problems = iter([None, "mod: unknown key", "mod: unknown key", None, None])
    object.__setattr__(world.runtime, "settings_problem", lambda: next(problems))

    for _ in range(5):
        await world.run(protect, after=INTERVAL)

    assert [(e["action"], e["success"], e["details"]["detail"]) for e in entries(world)] == [
        ("settings_broken", False, "mod: unknown key"),
        ("settings_mended", True, "mod: unknown key"),
    ]


async def test_a_file_that_cannot_be_written_fails_no_run_and_is_said_at_both_ends(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("flows"), "propagate", True)
    world = new_world()
    folder = log_file(world).parent / "later"
    world.tree = {"mode": "prod", "auditLog": {"file": str(folder / "audit.jsonl")}}

    for flow in (protect, optimize, protect, protect):
        await world.run(flow, after=INTERVAL)
    failing = metric(world, "export_failing", target="file")
    revisions = world.revisions()
    folder.mkdir()
    for _ in range(2):
        await world.run(protect, after=INTERVAL)

    said = [record.getMessage() for record in caplog.records if "audit" in record.getMessage()]
    assert revisions[-1][1] == "confirmed", "what is published does not wait for it"
    assert [line.split(":")[0] for line in said] == [
        "the export of the audit (file) failed",
        "the export of the audit (file) works again",
    ]
    assert failing == 1
    assert metric(world, "export_failing", target="file") == 0
    exported = [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]
    assert [line["action"] for line in exported] == [entry["action"] for entry in entries(world)]
    assert [line["action"] for line in exported if "export" in line["action"]] == [
        "export_failed",
        "export_recovered",
    ]


async def test_a_target_that_nobody_wants_any_more_does_not_fail(new_world: NewWorld) -> None:
    world = new_world(tree={"mode": "prod", "auditLog": {"file": "/missing/audit.jsonl"}})
    for flow in (protect, optimize, protect):
        await world.run(flow, after=INTERVAL)
    assert metric(world, "export_failing", target="file") == 1

    world.tree = {"mode": "prod"}
    await world.run(protect, after=INTERVAL)

    assert metric(world, "export_failing", target="file") == 0


async def test_without_a_target_the_audit_is_not_even_asked(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = new_world()

    def asked(*_: object) -> None:
        raise AssertionError("it was asked")

    monkeypatch.setattr("flows.auditing.export_waits", asked)
    monkeypatch.setattr("flows.auditing.state_of_audit", asked)

    for flow in (protect, optimize, protect):
        await world.run(flow, after=INTERVAL)

    assert entries(world)


def in_cluster(world: Any, kmock: RawHandler, **tree: object) -> dict[str, object]:  # noqa: ANN401
    there = kubeconfig(world.folder, str(kmock.url))
    return {
        "mode": "prod",
        "auditLog": {"storageType": "configmap"},
        "metricsDiscovery": {"kubeconfig": str(there)},
        **tree,
    }


async def test_a_configmap_mirrors_what_was_entered_and_is_not_written_without_news(
    kmock: RawHandler, new_world: NewWorld
) -> None:
    world, api = new_world(), OurApi(kmock)
    world.tree = in_cluster(world, kmock)

    for flow in (protect, optimize, protect):
        await world.run(flow, after=MIRRORED_EVERY.total_seconds())
    written = len(api.writes)
    await world.run(protect, after=MIRRORED_EVERY.total_seconds())

    mirrored = [json.loads(line)["action"] for line in api.document.splitlines()]
    assert mirrored == [entry["action"] for entry in entries(world)]
    assert "revision_confirmed" in mirrored
    assert len(api.writes) == written
    assert metric(world, "export_failing", target="configmap") == 0


async def test_a_configmap_that_is_refused_is_tried_once_a_minute_and_fails_nothing(
    kmock: RawHandler, new_world: NewWorld
) -> None:
    world = new_world()
    world.tree = in_cluster(world, kmock)
    kmock[f"get {NAMED}"] << told(403, "no")

    for flow in (protect, optimize, protect, protect):
        await world.run(flow, after=INTERVAL)

    assert world.revisions()[-1][1] == "confirmed"
    assert len(kmock) == 1
    await world.run(protect, after=INTERVAL)
    assert len(kmock) == 2
    assert metric(world, "export_failing", target="configmap") == 1
    (failed,) = entries(world, "export_failed")
    assert "grant get, create and patch on configmaps" in failed["details"]["detail"]


@pytest.mark.parametrize(
    "tree", [{"mode": "dry-run"}, {"synthetic": {"enabled": True}}], ids=["dry run", "made up"]
)
async def test_a_dry_run_and_made_up_tenants_write_the_file_and_nothing_in_a_cluster(
    kmock: RawHandler, new_world: NewWorld, tree: dict[str, object]
) -> None:
    world, api = new_world(), OurApi(kmock)
    target = {"storageType": "configmap", "file": str(log_file(world))}
    world.tree = in_cluster(world, kmock, auditLog=target, **tree)
    append_audit(world.database, [somebody_s(world)])

    await world.run(protect, after=INTERVAL)

    assert of_file(world) == ["somebody_s"]
    assert api.kept is None
    assert len(kmock) == 0, PLACE


def somebody_s(world: Any, **told: object) -> AuditEntry:  # noqa: ANN401 - of conftest
    return AuditEntry(
        at=world.clock() - timedelta(hours=1),
        category="cost",
        component="cost",
        action="somebody_s",
        actor="optimizer",
        success=True,
        details=told,
    )


async def test_far_too_many_entries_go_at_once_and_that_is_told(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("flows"), "propagate", True)
    world = new_world(tree={"mode": "dry-run", "auditLog": {"maxEntries": 100}})
    await world.run(protect)
    append_audit(world.database, [somebody_s(world)] * 120)
    await world.run(optimize, after=INTERVAL)
    assert len(entries(world)) == 120, "120 % is no emergency yet"

    append_audit(world.database, [somebody_s(world)])
    for _ in range(2):
        await world.run(optimize, after=INTERVAL)

    assert len(entries(world)) == 100
    (dropped,) = entries(world, "entries_dropped")
    assert dropped["details"]["entries"] == 22
    assert metric(world, "entries_dropped_total") == 22
    said = [text for text in caplog.messages if "the audit log was too full" in text]
    assert len(said) == 1


async def test_where_nothing_above_the_whole_is_borne_one_emergency_does_not_bring_the_next(
    new_world: NewWorld,
) -> None:
    tight = {"maxEntries": 10, "maxSize": "1MiB", "emergencyThreshold": 100}
    world = new_world(tree={"mode": "dry-run", "auditLog": tight})
    append_audit(world.database, [somebody_s(world, text="x" * 200_000)] * 11)

    for _ in range(3):
        await world.run(optimize, after=INTERVAL)

    assert len(entries(world, "entries_dropped")) == 1


async def test_entries_that_take_too_much_are_an_emergency_too(new_world: NewWorld) -> None:
    world = new_world(tree={"mode": "dry-run", "auditLog": {"maxSize": "1MiB"}})
    await world.run(protect)
    append_audit(world.database, [somebody_s(world, text="x" * 100_000)] * 13)

    await world.run(optimize, after=INTERVAL)

    assert 9 <= len(entries(world, "somebody_s")) <= 10
    assert len(entries(world, "entries_dropped")) == 1


async def test_maintain_keeps_as_much_as_the_settings_say(new_world: NewWorld) -> None:
    world = new_world(tree={"mode": "dry-run", "auditLog": {"maxEntries": 3, "maxAge": "30m"}})
    append_audit(world.database, [somebody_s(world)] * 2)
    world.now += 3600
    append_audit(world.database, [somebody_s(world)] * 2)
    world.now -= 3600 * 0.9
    await world.run(maintain)
    assert len(entries(world)) == 2, "those of an hour ago are too old"

    append_audit(world.database, [somebody_s(world)] * 5)
    world.tree = {"mode": "dry-run", "auditLog": {"maxEntries": 3}}
    await world.run(maintain)

    assert len(entries(world)) == 3
