"""The loop closed over a simulated Mimir: what is decided is written, loaded, proven, kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from flows.optimize import optimize
from flows.protect import protect
from flows.publishing import make_plan
from policy.effective import as_optimized
from policy.errors import ConfigError
from policy.frames import LIMITS
from simulator import Fault
from storage.breakers import read_breakers, switch
from storage.layers import replace_layer
from storage.revisions import finish_revision, newest_revision
from storage.runs import latest_runs
from tasks.http import MimirUnavailable
from tasks.sinks import FileSink

INTERVAL = 15.0  # seconds between two runs of protect
RATE = "ingestion_rate"
SERIES = "max_global_series_per_user"

NewWorld = Callable[..., Any]


async def published(world: Any) -> None:  # noqa: ANN401 - the world of conftest
    """Let the history decide, write, and see it loaded by every process."""
    await world.run(protect)
    await world.run(optimize, after=INTERVAL)
    await world.run(protect, after=INTERVAL)


async def test_what_the_history_decides_is_written_loaded_and_confirmed(
    new_world: NewWorld,
) -> None:
    world = new_world()
    await world.run(protect)

    said = await world.run(optimize, after=INTERVAL)
    settled = await world.decided(protect, after=INTERVAL)

    assert said[-1] == f"revision 2 written to file: {len(world.limits())} limits changed"
    assert settled[0].startswith("revision 2 confirmed")
    assert world.limits()["bursty-1", RATE] > 10_000
    assert world.loaded("bursty-1") == world.limits()["bursty-1", RATE]
    assert world.revisions() == [("found", "confirmed"), ("optimizer", "confirmed")]


@pytest.mark.timeout(90)
async def test_without_a_change_nothing_is_written_any_more(new_world: NewWorld) -> None:
    world = new_world()
    await published(world)
    bytes_then, written_then = world.file.read_bytes(), world.file.stat().st_mtime_ns
    revisions = world.revisions()

    for cycle in range(50):
        await world.run(optimize if cycle % 10 == 9 else protect, after=INTERVAL)

    assert world.file.read_bytes() == bytes_then
    assert world.file.stat().st_mtime_ns == written_then
    assert world.revisions() == revisions


async def test_a_refused_document_is_taken_out_and_not_written_again(new_world: NewWorld) -> None:
    world = new_world()
    await world.run(protect)
    before = world.file.read_bytes()
    world.cluster.inject(Fault(process="ingester-1", kind="refuse_reload"))
    await world.run(optimize, after=INTERVAL)

    said = await world.decided(protect, after=INTERVAL)
    later = [await world.run(flow, after=INTERVAL) for flow in (protect, optimize, protect)]

    assert said[0].startswith("revision 2 failed: the reload failed on ")
    assert said[0].endswith("ingester-1; the old file is in force; revision 1 was put back")
    assert said[1].startswith("not published: revision 2 had the same content and failed")
    assert world.file.read_bytes() == before
    assert world.revisions() == [("found", "confirmed"), ("optimizer", "reverted")]
    assert not any("not published" in line for line in later[0]), "it is said once"


async def test_a_refused_document_is_tried_once_more_after_an_hour(new_world: NewWorld) -> None:
    world = new_world()
    await world.run(protect)
    world.cluster.inject(Fault(process="ingester-1", kind="refuse_reload", seconds=60))
    await world.run(optimize, after=INTERVAL)
    await world.run(protect, after=INTERVAL)

    await world.run(protect, after=3_610)
    await world.run(protect, after=INTERVAL)

    assert world.revisions()[1:] == [("optimizer", "reverted"), ("optimizer", "confirmed")]


async def test_a_dry_run_says_what_it_would_do_and_builds_no_sink(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a sink was built in a dry run")

    monkeypatch.setattr(FileSink, "__init__", refuse)
    world = new_world(tree={"mode": "dry-run"})
    file = (world.file.read_bytes(), world.file.stat().st_mtime_ns)

    await world.run(protect)
    said = await world.run(optimize, after=INTERVAL)
    await world.run(protect, after=INTERVAL)

    assert any(line.startswith("bursty-1  ingestion_rate  10,000 → ") for line in said)
    assert (world.file.read_bytes(), world.file.stat().st_mtime_ns) == file
    assert world.revisions() == []
    newest = latest_runs(world.database).filter(flow="optimize").row(0, named=True)
    assert '"publish": "would"' in newest["summary"]


async def test_a_revision_that_was_given_up_on_is_proven_when_the_process_is_back(
    new_world: NewWorld,
) -> None:
    world = new_world()
    await world.run(protect)
    world.cluster.inject(Fault(process="overrides-exporter", kind="unreachable", seconds=300))
    await world.run(optimize, after=INTERVAL)
    await world.run(protect, after=120)

    silent = await world.run(protect, after=INTERVAL)
    proven = await world.decided(protect, after=300)

    assert silent == []
    assert proven[0].startswith("revision 2 confirmed")


async def test_an_unreachable_mimir_fails_the_run_with_one_line_and_loses_nothing(
    new_world: NewWorld,
) -> None:
    world = new_world()
    await published(world)
    document, layer = world.file.read_bytes(), world.layer("optimized")
    for process in world.cluster.processes:
        world.cluster.inject(Fault(process=process, kind="unreachable"))

    for flow in (protect, optimize):
        with pytest.raises(MimirUnavailable) as refusal:
            await world.run(flow, after=INTERVAL)
        assert "\n" not in str(refusal.value)

    assert world.file.read_bytes() == document
    assert world.layer("optimized").equals(layer)
    problems = world.runtime.vitals.problems(
        now=world.clock(), stale_after=world.settings().protect_interval * 0
    )
    assert "no Mimir process answered the newest scrape" in problems
    assert world.runtime.memory.scrape is not None, "the next rates start from it"


@pytest.mark.parametrize("kind", ["unreachable", "truncated"])
async def test_one_process_that_fails_stops_the_lowering_but_not_the_raising(
    new_world: NewWorld, kind: str
) -> None:
    world = new_world()
    world.cluster.inject(Fault(process="ingester-0", kind=kind))  # type: ignore[arg-type]
    await world.run(protect)
    await world.run(protect, after=INTERVAL)

    said = await world.run(optimize, after=INTERVAL)

    assert list(world.limits()) == [("bursty-1", RATE)], "all others were to be lowered"
    assert world.limits()["bursty-1", RATE] > 10_000
    assert any("partial_coverage" in line for line in said if "withheld" in line)


async def test_a_blasting_tenant_is_capped_and_not_raised_until_it_is_over(
    new_world: NewWorld,
) -> None:
    world = new_world(tree={"mode": "prod", "trendAnalysis": {"minHistory": "1h"}})
    await published(world)
    limit, usual = world.loaded("steady-1"), 2_000.0
    others = {key: value for key, value in world.limits().items() if key[0] != "steady-1"}
    world.cluster.blast("steady-1", factor=20, seconds=300)

    said = [await world.run(protect, after=INTERVAL) for _ in range(3)]
    await world.run(optimize, after=INTERVAL)

    assert (
        len([line for lines in said for line in lines if "the circuit breaker opens" in line]) == 1
    )
    (cap,) = world.layer("breaker").filter(tenant="steady-1", limit=RATE)["value"].to_list()
    assert usual * 1.2 < cap < limit
    assert world.loaded("steady-1") == cap
    assert {key: world.limits()[key] for key in others} == others
    decided = world.database.cursor().execute(
        "select outcome, reason from decisions where tenant = 'steady-1' and \"limit\" = "
        "'ingestion_rate' order by \"at\" desc limit 1"
    )
    # What a blast asks for is no evidence, so there is not even a wish to raise.
    assert decided.fetchone() == ("withheld", "under_pressure")

    for _ in range(40):
        await world.run(protect, after=INTERVAL)
    await world.run(optimize, after=INTERVAL)
    assert world.layer("breaker").is_empty()
    assert world.loaded("steady-1") == limit, "all is as before, and the blast raised nothing"


async def test_a_cap_lapses_by_itself_when_nobody_looks_any_more(new_world: NewWorld) -> None:
    world = new_world()
    await published(world)
    world.cluster.blast("steady-1", factor=20, seconds=300)
    await world.run(protect, after=INTERVAL)
    capped = world.layer("breaker").height

    world.now += 600

    assert capped
    assert world.layer("breaker").is_empty()


async def test_in_a_dry_run_the_breaker_is_stepped_and_caps_nobody(new_world: NewWorld) -> None:
    world = new_world(tree={"mode": "dry-run"})
    for flow in (protect, optimize, protect):
        await world.run(flow, after=INTERVAL)
    before = world.file.read_bytes()
    world.cluster.blast("steady-1", factor=20, seconds=300)

    said = [line for _ in range(2) for line in await world.run(protect, after=INTERVAL)]

    assert [
        line
        for line in said
        if line.startswith("steady-1  blast detected, the circuit breaker opens")
    ]
    assert read_breakers(world.database)["state"].to_list() == ["open"]
    assert world.layer("breaker").is_empty()
    assert world.file.read_bytes() == before


@pytest.mark.parametrize("whose", ["steady-1", ""])
async def test_a_breaker_that_a_person_switched_off_caps_nobody(
    new_world: NewWorld, whose: str
) -> None:
    world = new_world()
    await published(world)
    switch(world.database, tenant=whose, on=False, by="anna", reason="x", at=world.clock())
    world.cluster.blast("steady-1", factor=20, seconds=300)

    await world.run(protect, after=INTERVAL)
    off = world.layer("breaker").height
    switch(world.database, tenant=whose, on=True, by="anna", reason="x", at=world.clock())
    await world.run(protect, after=INTERVAL)

    assert off == 0
    assert world.layer("breaker").height > 0


async def test_a_restart_in_the_middle_of_a_blast_goes_on_with_the_same_breaker(
    new_world: NewWorld,
) -> None:
    world = new_world()
    await published(world)
    world.cluster.blast("steady-1", factor=20, seconds=300)
    await world.run(protect, after=INTERVAL)
    before = read_breakers(world.database)
    world.restart()

    await world.run(protect, after=INTERVAL)  # the first scrape gives no rates
    await world.run(protect, after=INTERVAL)

    after = read_breakers(world.database)
    assert after["opened_at"].to_list() == before["opened_at"].to_list()
    assert after["openings"].to_list() == [1]


async def test_an_edit_of_our_file_by_somebody_else_is_set_right(new_world: NewWorld) -> None:
    world = new_world()
    await published(world)
    document = world.file.read_bytes()
    world.file.write_text("overrides: {steady-1: {ingestion_rate: 77}}\n")

    await world.run(protect, after=INTERVAL)

    assert world.file.read_bytes() == document


async def test_a_file_that_is_not_ours_is_left_alone_and_the_history_goes_on(
    new_world: NewWorld,
) -> None:
    world = new_world()
    await world.run(protect)
    theirs = b"ingester_limits: {max_series: 5}\n"
    world.file.write_bytes(theirs)

    with pytest.raises(ConfigError, match="a document that we did not write"):
        await world.run(protect, after=INTERVAL)

    assert world.file.read_bytes() == theirs
    newest = world.database.cursor().execute('select max("at") from samples').fetchone()
    assert newest == (world.clock(),)


async def test_a_raise_on_its_way_to_the_ingesters_is_not_taken_for_demand(
    new_world: NewWorld,
) -> None:
    """
    A share of the old limit scaled by the new one would feed the next raise.
    """
    world = new_world(past=False)
    await world.run(protect)
    raised = pl.DataFrame([("steady-1", SERIES, 180_000.0)], schema=LIMITS, orient="row")
    layer = as_optimized(raised, reason="test", written_at=world.clock())
    replace_layer(world.database, "optimized", layer, run_id="test")

    for _ in range(8):
        await world.run(protect, after=3)

    seen = world.database.cursor().execute(
        "select min(value), max(value) from samples where tenant = 'steady-1' and signal = ?",
        [SERIES],
    )
    least, most = seen.fetchone()
    assert world.loaded("steady-1", SERIES) == 180_000
    assert most < least * 1.02


async def test_two_flows_at_once_leave_one_document_and_one_history(new_world: NewWorld) -> None:
    world = new_world()
    await world.run(protect)
    world.now += INTERVAL

    await asyncio.gather(
        *(asyncio.to_thread(asyncio.run, flow.fn()) for flow in (optimize, protect))
    )
    await world.run(protect, after=INTERVAL)

    said = world.layer("optimized").select("tenant", "limit", "value").rows()
    assert {(tenant, limit): value for tenant, limit, value in said} == world.limits()
    assert world.revisions() == [("found", "confirmed"), ("optimizer", "confirmed")]


async def test_a_new_hash_proves_nothing_while_another_revision_is_on_its_way(
    new_world: NewWorld,
) -> None:
    world = new_world()
    await world.run(protect)
    await world.run(optimize, after=INTERVAL)
    first = world.runtime.memory.before
    layer = world.layer("optimized").with_columns(value=pl.col("value") * 2)
    replace_layer(world.database, "optimized", layer, run_id="test")

    await world.run(protect, after=1)

    second = world.runtime.memory.before
    assert set(first.hashes) == set(world.settings().mimir.endpoints)
    assert second.revision == first.revision + 1
    assert second.hashes == {}


async def test_the_oldest_process_decides_which_limits_may_be_written(new_world: NewWorld) -> None:
    """In the middle of an upgrade the new name would make the old process refuse the file."""
    world = new_world(past=False)
    await world.run(optimize)
    world.runtime.memory.versions = frozenset({"3.1.0", "2.3.0"})
    new = pl.DataFrame(
        [("steady-1", "max_active_series_per_user", 5.0)], schema=LIMITS, orient="row"
    )
    layer = as_optimized(new, reason="test", written_at=world.clock())
    replace_layer(world.database, "optimized", layer, run_id="test")

    said = await world.decided(protect, after=INTERVAL)

    assert len(said) == 1
    assert said[0].startswith(
        "not published: tenant steady-1, max_active_series_per_user: the oldest running Mimir "
        "does not know this limit"
    )


async def test_after_a_start_what_mimir_was_seen_to_take_may_be_written_again(
    new_world: NewWorld,
) -> None:
    """Else no cap of the breaker would be published until the versions are read."""
    world = new_world(past=False)
    await world.run(optimize)
    new = pl.DataFrame([("steady-1", "request_rate", 5.0)], schema=LIMITS, orient="row")
    layer = as_optimized(new, reason="test", written_at=world.clock())
    replace_layer(world.database, "optimized", layer, run_id="test")
    world.runtime.memory.versions = frozenset({"3.1.0"})
    await world.run(protect, after=INTERVAL)
    finish_revision(
        world.database,
        revision=newest_revision(world.database).revision,
        outcome="confirmed",
        detail="",
        evidence={},
        at=world.clock(),
    )
    world.runtime.memory.versions = frozenset()

    assert make_plan(world.runtime, world.settings(), stands=new).problems == ()


async def test_a_look_that_follows_another_at_once_gives_no_rates(new_world: NewWorld) -> None:
    world = new_world()
    await published(world)
    rates = "select count(distinct \"at\") from samples where signal = 'ingestion_rate'"
    looks = "select count(*) from runs where flow = 'protect' and outcome = 'success'"

    def counted(query: str) -> int:
        found = world.database.cursor().execute(query).fetchone()
        assert found is not None
        return int(found[0])

    before = counted(rates), counted(looks)
    await world.run(protect, after=INTERVAL / 30)
    await world.run(protect, after=INTERVAL)

    assert (counted(rates), counted(looks)) == (before[0] + 1, before[1] + 2)


LOOKS = 40  # ten minutes, twice as long as one hold


async def test_a_blast_that_lasts_is_capped_without_a_gap_and_not_written_at_every_look(
    new_world: NewWorld,
) -> None:
    world = new_world()
    await published(world)
    world.cluster.blast("steady-1", factor=20, seconds=3_600)

    await world.run(protect, after=INTERVAL)
    await world.run(protect, after=INTERVAL)
    written: set[object] = set()
    for _ in range(LOOKS):
        await world.run(protect, after=INTERVAL)
        held = world.layer("breaker").filter(pl.col("tenant") == "steady-1")
        assert not held.is_empty(), "the cap never lapses while the blast lasts"
        written |= set(held["written_at"])

    assert 2 < len(written) < LOOKS / 4
