"""An emergency from its first reading to the last step back, in the whole loop."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from math import ceil
from typing import Any

import polars as pl
import pytest

from flows.emergency import Emergency, emergency_section, see_emergency
from flows.optimize import optimize
from flows.protect import protect
from flows.runtime import Run
from policy.emergency.rules import terms_of
from policy.emergency.state import State, from_json
from policy.frames import LAYERS, SAMPLES, empty
from policy.resources import RESOURCES
from policy.scrape import Scrape
from policy.settings import Settings
from storage.audit import newest_entries
from storage.emergency import read_emergency
from storage.layers import read_layers

INTERVAL = 15.0
RATE, BURST, SERIES = "ingestion_rate", "ingestion_burst_size", "max_global_series_per_user"
NewWorld = Callable[..., Any]
QUICK = {"stableFor": "30s", "stepInterval": "30s", "stepPercentage": 40}


def overloaded(*, mode: str = "prod", most: float = 100.0, **emergency: object) -> dict[str, Any]:
    """Settings by which what the simulated tenants send is too much."""
    panic = {"samplesPerSecond": most, "actions": [{"throttle_ingestion": "80%"}]}
    return {"mode": mode, "emergency": {"panicMode": panic, "recovery": QUICK, **emergency}}


def metric(world: Any, name: str, **labels: str) -> float | None:  # noqa: ANN401 - of conftest
    value = world.runtime.telemetry.registry.get_sample_value(
        f"mimir_limit_optimizer_{name}", labels
    )
    return None if value is None else float(value)


def actions(world: Any) -> list[str]:  # noqa: ANN401 - of conftest
    found = newest_entries(world.database, newest=1_000).reverse()
    return found.filter(component="emergency")["action"].to_list()


def resources(world: Any, *, memory: float) -> pl.DataFrame:  # noqa: ANN401 - of conftest
    """RESOURCES of one ingester of which the memory is known."""
    pod = f"http://127.0.0.1:{world.port}/ingester-0"
    rows = [(pod, "ingester", "up", 1.0, None), (pod, "ingester", "memory_bytes", memory, 100.0)]
    return pl.DataFrame(rows, schema=RESOURCES, orient="row")


async def look(world: Any, *, memory: float, seconds: float = INTERVAL) -> Emergency:  # noqa: ANN401
    """One look at that ingester, by itself."""
    world.now += seconds
    seen = world.runtime.memory.scrape
    at = world.clock()
    samples = pl.DataFrame(
        [(at, tenant, "samples_asked_per_second", 1.0, 1.0) for tenant in ("steady-1", "bursty-1")],
        schema=SAMPLES,
        orient="row",
    )
    assert isinstance(seen, Scrape)
    return await see_emergency(
        world.runtime,
        Run(run_id="r", flow="protect", started_at=at),
        world.settings(),
        seen=Scrape(
            at=at,
            readings=seen.readings,
            answered=seen.answered,
            failed={},
            addresses=seen.addresses,
        ),
        samples=samples,
        resources=resources(world, memory=memory),
        layers=read_layers(world.database, now=world.clock()),
    )


async def settled(new_world: NewWorld, tree: dict[str, Any]) -> Any:  # noqa: ANN401 - of conftest
    """A world whose limits are known and as the history wants them."""
    world = new_world(tree=tree)
    await world.run(protect)
    await world.run(optimize, after=INTERVAL)
    await world.run(protect, after=INTERVAL)
    return world


async def test_an_overload_is_throttled_in_mimir_and_given_back_by_steps(
    new_world: NewWorld,
) -> None:
    world = await settled(new_world, overloaded(most=1e9))
    before = {tenant: world.loaded(tenant) for tenant in ("steady-1", "bursty-1")}
    document = world.limits()

    world.tree = overloaded()
    said = await world.run(protect, after=INTERVAL)
    await world.run(protect, after=INTERVAL)

    assert any("emergency level emergency, phase 3: " in line for line in said)
    caps = dict(world.layer("emergency").filter(limit=RATE).select("tenant", "value").iter_rows())
    for tenant, value in before.items():
        assert world.loaded(tenant) == caps[tenant] < value
        assert caps[tenant] >= value / 5
    sends = {one.name: one.samples_per_second for one in world.cluster.plan.tenants}
    assert caps["steady-1"] >= sends["steady-1"], "it sends its usual, and that is let in"
    assert metric(world, "emergency_level") == 2
    assert metric(world, "emergency_actions_total", action="throttle_ingestion") == 1

    world.tree = overloaded(most=1e9)
    lines = [line for _ in range(9) for line in await world.run(protect, after=INTERVAL)]

    told = [line for line in lines if line.startswith(("recovery", "emergency"))]
    assert told == [
        "recovery step 1 of 2: 40 % given back",
        "emergency level none: recovered from emergency",
    ]
    assert world.layer("emergency").is_empty()
    assert {tenant: world.loaded(tenant) for tenant in before} == before
    assert world.limits().items() >= document.items(), "what it refused is no evidence"
    assert "lowering_reverted" not in newest_entries(world.database, newest=1_000)["action"]
    assert actions(world) == ["emergency_raised", "recovery_step", "emergency_over"]
    assert metric(world, "recovery_attempts_total", outcome="stepped") == 1
    assert metric(world, "recovery_attempts_total", outcome="recovered") == 1


async def test_what_the_caps_refuse_is_not_stored_as_pressure(new_world: NewWorld) -> None:
    world = await settled(new_world, overloaded(most=1e9))
    at = world.clock()
    refused = "discarded_rate_limited_per_second"
    stored = (
        f'select count(*) from samples where "signal" = \'{refused}\' and value > 0 and "at" > ?'
    )

    world.tree = overloaded()
    for _ in range(6):
        await world.run(protect, after=INTERVAL)

    throttled = world.layer("emergency")["tenant"].unique()
    assert len(throttled) == 4
    assert world.cluster.distributors[0].config.current.number("steady-1", RATE) < 10_000
    assert world.database.cursor().execute(stored, [at]).fetchone() == (0,)


async def test_while_it_lasts_nothing_is_written_again_whatever_optimize_does(
    new_world: NewWorld,
) -> None:
    world = await settled(new_world, overloaded(most=1e9))
    world.tree = overloaded()
    await world.run(protect, after=INTERVAL)
    capped = world.layer("emergency")

    await world.run(optimize, after=INTERVAL)
    for _ in range(5):
        await world.run(protect, after=INTERVAL)

    assert not capped.is_empty()
    kept = world.layer("emergency").join(capped, on=["tenant", "limit"], how="semi")
    assert kept.equals(capped)


async def test_a_dry_run_detects_tells_and_recovers_and_changes_nothing(
    new_world: NewWorld,
) -> None:
    world = new_world(tree=overloaded(mode="dry-run"))
    file = world.file.read_bytes()
    await world.run(protect)
    said = await world.run(protect, after=INTERVAL)
    world.tree = overloaded(mode="dry-run", most=1e9)
    lines = [line for _ in range(7) for line in await world.run(protect, after=INTERVAL)]

    assert any(line.startswith("dry run: emergency level emergency") for line in said)
    assert "dry run: emergency level none: recovered from emergency" in lines
    assert world.layer("emergency").is_empty()
    assert world.file.read_bytes() == file
    assert world.revisions() == []
    assert actions(world)[0] == "emergency_raised"


async def test_a_restart_in_the_middle_keeps_the_caps_and_goes_on(new_world: NewWorld) -> None:
    world = await settled(new_world, overloaded(most=1e9))
    world.tree = overloaded()
    await world.run(protect, after=INTERVAL)
    capped = world.layer("emergency")

    world.restart()
    world.tree = overloaded(most=1e9)
    lines = [line for _ in range(8) for line in await world.run(protect, after=INTERVAL)]

    assert not capped.is_empty()
    assert "recovery step 1 of 2: 40 % given back" in lines
    assert world.layer("emergency").is_empty()


async def test_switched_off_it_does_nothing_and_lets_go_of_what_it_did(
    new_world: NewWorld,
) -> None:
    world = await settled(new_world, overloaded(most=1e9))
    world.tree = overloaded()
    await world.run(protect, after=INTERVAL)
    assert not world.layer("emergency").is_empty()

    world.tree = overloaded(enabled=False)
    said = [line for _ in range(3) for line in await world.run(protect, after=INTERVAL)]

    assert world.layer("emergency").is_empty()
    assert read_emergency(world.database) is None
    assert not any("emergency level" in line for line in said)
    assert actions(world) == ["emergency_raised", "emergency_over"]


async def test_full_memory_is_panic_that_is_told_once_and_counted(new_world: NewWorld) -> None:
    tree = {"mode": "prod", "emergency": {"criticalTenants": ["steady-*"]}}
    world = await settled(new_world, tree)

    for _ in range(8):
        now = await look(world, memory=97.0)

    panics = [line for line in world.said if "emergency level" in line]
    assert len(panics) == 1
    assert panics[0].startswith("emergency level panic, phase 4: memory of http://127.0.0.1")
    assert metric(world, "panic_mode_activations_total") == 1
    assert metric(
        world, "resource_usage_percent", component="ingester", resource="memory"
    ) == pytest.approx(97)
    assert emergency_section(now).startswith("## Emergency: panic")
    by = {(row["tenant"], row["limit"]): row for row in now.caps.iter_rows(named=True)}
    bursty = by["bursty-1", RATE]
    assert bursty["reason"].startswith("breaker opened from 13,000 to ")
    assert ", what it usually needs: memory of http" in bursty["reason"]
    assert bursty["value"] == ceil(json.loads(bursty["evidence"])["need"])
    assert by["steady-1", RATE]["reason"].startswith("limits reduced")
    assert ("steady-1", "max_queriers_per_tenant") not in by
    assert by["bursty-1", "max_queriers_per_tenant"]["value"] == 1


@pytest.mark.parametrize("first", ["blast", "emergency"])
async def test_of_a_blast_and_an_emergency_the_lower_cap_holds_and_both_end(
    new_world: NewWorld, first: str
) -> None:
    world = await settled(new_world, overloaded(most=1e9))
    before = world.loaded("steady-1")
    for number in range(4):
        if number == (0 if first == "blast" else 2):
            world.cluster.blast("steady-1", factor=10, seconds=90)
        if number == (2 if first == "blast" else 0):
            world.tree = overloaded()
        await world.run(protect, after=INTERVAL)
    await world.run(protect, after=INTERVAL)

    caps = [
        world.layer(name).filter(tenant="steady-1", limit=RATE)["value"].item()
        for name in ("breaker", "emergency")
    ]
    assert world.loaded("steady-1") == min(caps)

    world.tree = overloaded(most=1e9)
    for _ in range(40):
        await world.run(protect, after=INTERVAL)
    assert world.layer("breaker").is_empty()
    assert world.layer("emergency").is_empty()
    assert world.loaded("steady-1") == before


async def test_panic_that_lasts_under_its_caps_goes_below_what_is_needed_once_mimir_has_them(
    new_world: NewWorld,
) -> None:
    """
    What the simulated processes use of their CPU is panic by these settings, whatever is cut.
    """
    panic = {"cpuThreshold": 3, "cpuFor": "0s", "actions": ["reduce_limits", "throttle_ingestion"]}
    levels = {"warningThreshold": 1, "emergencyThreshold": 2, "panicThreshold": 3}
    tree = {
        "mode": "prod",
        "emergency": {
            **levels,
            "panicMode": panic,
            "recovery": {"cpuThreshold": 1, "memoryThreshold": 1},
        },
    }
    world = await settled(new_world, overloaded(most=1e9))
    world.tree = tree
    await world.run(protect, after=INTERVAL)
    at_first = world.layer("emergency")

    for _ in range(8):
        await world.run(protect, after=INTERVAL)

    def taken(layer: pl.DataFrame) -> set[float]:
        of_need = layer.filter(limit=RATE)["evidence"].str.json_path_match("$.taken")
        return set(of_need.cast(pl.Float64))

    assert taken(at_first) == {0.0}
    assert taken(world.layer("emergency")) == {20.0}
    assert actions(world) == ["emergency_raised", "emergency_squeezed"]
    lower = world.layer("emergency").join(at_first, on=["tenant", "limit"])
    assert (lower["value"] <= lower["value_right"]).all()
    assert (lower["value"] < lower["value_right"]).any()


async def test_a_process_that_exposes_no_profile_is_asked_once_in_ten_minutes_and_told_once(
    new_world: NewWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world = new_world()
    await world.run(protect)

    for _ in range(60):
        await look(world, memory=97.0)

    told = [record.message for record in caplog.records if "garbage collection" in record.message]
    assert len(told) == 1
    assert "/debug/pprof/heap is not exposed" in told[0]
    assert actions(world).count("garbage_collected") == 2


async def test_a_dry_run_has_nobody_collect_garbage(new_world: NewWorld) -> None:
    world = new_world(tree={"mode": "dry-run"})
    await world.run(protect)

    for _ in range(8):
        await look(world, memory=97.0)

    assert actions(world) == ["emergency_raised"]


async def test_a_calm_cluster_has_no_level_and_no_caps(new_world: NewWorld) -> None:
    world = new_world()
    for _ in range(4):
        await world.run(protect, after=INTERVAL)

    stored = read_emergency(world.database)
    assert stored is not None
    assert from_json(stored).level == "none"
    assert json.loads(stored)["actions"] == {}
    assert world.layer("emergency").is_empty()
    assert metric(world, "emergency_level") == 0


def test_without_a_level_the_report_has_no_section() -> None:
    now = Emergency(
        state=State(),
        caps=empty(LAYERS),
        terms=terms_of(Settings().emergency, look_every=timedelta(seconds=15)),
        simulated=False,
    )

    assert emergency_section(now) == ""
