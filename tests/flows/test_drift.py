"""What somebody else changes in our document is seen, told once, and put back or respected."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from flows.optimize import optimize
from flows.protect import protect
from policy.document import parse, render
from policy.frames import CHANGES, COMPOSED, LIMITS, empty
from policy.pins import Pin
from storage.audit import read_audit
from storage.pins import pin
from storage.revisions import Intent, begin_revision, finish_revision

INTERVAL = 15.0
RATE = "ingestion_rate"

NewWorld = Callable[..., Any]


async def published(world: Any) -> dict[tuple[str, str], float]:  # noqa: ANN401 - of conftest
    for flow in (protect, optimize, protect):
        await world.run(flow, after=INTERVAL)
    found: dict[tuple[str, str], float] = world.limits()
    return found


def edit(world: Any, limits: dict[tuple[str, str], float]) -> None:  # noqa: ANN401
    world.file.write_bytes(render(limits_of(limits)))


def told(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("somebody else changed")]


async def test_an_edit_by_hand_is_told_and_put_back(new_world: NewWorld) -> None:
    world = new_world()
    ours = await published(world)
    key = next(key for key in ours if key[1] == RATE)
    edit(world, ours | {key: 99.0})

    said = await world.run(protect, after=INTERVAL)
    later = await world.run(protect, after=INTERVAL)

    (line,) = told(said)
    assert f"{RATE} of {key[0]}" in line
    assert line.endswith("→ 99; it is put back")
    assert told(later) == []
    assert world.limits() == ours


async def test_an_edit_by_hand_is_respected_where_that_is_asked_for(new_world: NewWorld) -> None:
    world = new_world()
    ours = await published(world)
    changed, gone = [key for key in ours if key[1] == RATE][:2]
    theirs = {key: value for key, value in ours.items() if key != gone} | {changed: 12_345.0}
    world.tree = {"mode": "prod", "publish": publish(world, drift="respect")}
    edit(world, theirs)

    said = [line for _ in range(3) for line in await world.run(protect, after=INTERVAL)]
    await world.run(optimize, after=INTERVAL)

    assert len(told(said)) == 1
    assert told(said)[0].endswith("it is respected, and pinned")
    assert world.limits() == theirs
    pins = {(row["tenant"], row["limit"]) for row in world.layer("pin").iter_rows(named=True)}
    assert pins == {changed, gone}


async def test_what_cannot_be_published_is_not_respected(new_world: NewWorld) -> None:
    """A name that Mimir does not know would hold back the document of everybody."""
    world = new_world()
    ours = await published(world)
    world.tree = {"mode": "prod", "publish": publish(world, drift="respect")}
    edit(world, ours | {("steady-1", "max_typos_per_user"): 5.0})

    said = await world.run(protect, after=INTERVAL)

    assert "it is put back, because it cannot be published" in told(said)[0]
    assert world.limits() == ours
    assert world.layer("pin").is_empty()


async def test_each_changed_limit_is_audited_with_both_values(new_world: NewWorld) -> None:
    world = new_world()
    ours = await published(world)
    key = next(iter(ours))
    edit(world, ours | {key: 99.0})

    await world.run(protect, after=INTERVAL)

    found = read_audit(world.database, since=world.clock() - timedelta(hours=1), category="user")
    entry = found.filter(action="drift_put_back").row(0, named=True)
    details = json.loads(entry["details"])
    assert (entry["tenant"], details["limit"]) == key
    assert (details["before"], details["after"]) == (ours[key], 99.0)


async def test_an_edit_while_we_were_away_is_seen_at_the_start(new_world: NewWorld) -> None:
    world = new_world()
    ours = await published(world)
    world.restart()
    edit(world, {})

    said = await world.run(protect, after=INTERVAL)

    assert "gone" in told(said)[0]
    assert world.limits() == ours


async def test_another_spelling_of_the_same_limits_is_no_drift(new_world: NewWorld) -> None:
    world = new_world()
    await published(world)
    world.file.write_bytes(b"# a comment of theirs\n" + world.file.read_bytes())

    assert told(await world.run(protect, after=INTERVAL)) == []


async def test_a_write_that_failed_and_arrived_all_the_same_is_no_drift(
    new_world: NewWorld,
) -> None:
    """Its proof is looked for again, and found."""
    world = new_world()
    await published(world)
    newest = world.database.cursor().execute("select max(revision) from revisions").fetchone()[0]
    finish_revision(
        world.database,
        revision=newest,
        outcome="failed",
        detail="not written: the answer was lost",
        evidence={},
        at=world.clock(),
    )
    world.restart()

    said = [line for _ in range(3) for line in await world.run(protect, after=INTERVAL)]

    assert told(said) == []
    assert world.revisions()[-1] == ("optimizer", "confirmed")


@pytest.mark.parametrize("paused", [True, False])
async def test_while_paused_drift_is_told_and_left(new_world: NewWorld, *, paused: bool) -> None:
    world = new_world()
    ours = await published(world)
    world.tree = {"mode": "prod", "publish": publish(world, paused=paused)}
    edit(world, {})

    said = [line for _ in range(2) for line in await world.run(protect, after=INTERVAL)]

    assert len(told(said)) == 1
    assert parse(world.file.read_bytes()).is_empty() == paused
    assert (world.limits() == ours) != paused


def publish(world: Any, **more: object) -> dict[str, object]:  # noqa: ANN401
    return {"file": {"path": str(world.file)}, **more}


async def test_however_often_a_write_failed_what_was_confirmed_is_still_ours(
    new_world: NewWorld,
) -> None:
    world = new_world()
    ours = await published(world)
    (where,) = world.database.cursor().execute("select any_value(sink) from revisions").fetchone()
    wanted = render(limits_of({key: value * 2 for key, value in ours.items()}))
    for _ in range(60):
        intent = Intent(
            run_id="r",
            actor="optimizer",
            sink=where,
            document=wanted.decode(),
            changes=empty(CHANGES),
            composed=empty(COMPOSED),
        )
        finish_revision(
            world.database,
            revision=begin_revision(world.database, intent, at=world.clock()),
            outcome="failed",
            detail="not written: the API did not answer",
            evidence={},
            at=world.clock() - timedelta(minutes=10),
        )
    world.tree = {"mode": "prod", "publish": publish(world, drift="respect")}
    world.restart()

    assert told(await world.run(protect, after=INTERVAL)) == []
    assert world.layer("pin").is_empty()


async def test_what_is_respected_stays_in_the_views_and_is_entered_as_theirs(
    new_world: NewWorld,
) -> None:
    world = new_world()
    ours = await published(world)
    key = next(key for key in ours if key[1] == RATE)
    world.tree = {"mode": "prod", "publish": publish(world, drift="respect")}
    edit(world, ours | {key: 12_345.0})

    for _ in range(4):
        await world.run(protect, after=INTERVAL)

    rows = world.database.cursor().execute(
        "select tenant, limit_name, value from v_tenant_limits where decided_by <> 'defaults'"
    )
    assert {(tenant, limit): value for tenant, limit, value in rows.fetchall()} == ours | {
        key: 12_345.0
    }
    entered = read_audit(world.database, since=world.clock() - timedelta(minutes=2))
    of_theirs = entered.filter(tenant=key[0]).filter(pl.col("details").str.contains("12345"))
    assert of_theirs.select("action", "actor").rows() == [("drift_respected", "somebody else")]


async def test_an_edit_that_contradicts_a_pin_is_not_respected(new_world: NewWorld) -> None:
    """Two pins with a burst below its rate would hold back the document of everybody."""
    world = new_world()
    ours = await published(world)
    tenant = next(tenant for tenant, limit in ours if limit == RATE)
    pinned = Pin(
        tenant=tenant,
        limit=RATE,
        value=ours[tenant, RATE],
        reason="x",
        by="anna",
        since=world.clock(),
        until=None,
    )
    pin(world.database, pinned)
    world.tree = {"mode": "prod", "publish": publish(world, drift="respect")}
    edit(world, ours | {(tenant, "ingestion_burst_size"): ours[tenant, RATE] // 2})

    said = await world.run(protect, after=INTERVAL)

    assert "it is put back, because it cannot be published" in told(said)[0]
    assert world.layer("pin").height == 1


async def test_an_edit_is_pinned_and_entered_together_or_not_at_all(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = new_world()
    ours = await published(world)
    world.tree = {"mode": "prod", "publish": publish(world, drift="respect")}
    edit(world, ours | {next(iter(ours)): 99.0})

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("flows.drift.note", die)
        with pytest.raises(KeyboardInterrupt):
            await world.run(protect, after=INTERVAL)
    world.restart()
    pinned_then = world.layer("pin").height
    await world.run(protect, after=INTERVAL)

    since = world.clock() - timedelta(hours=1)
    entered = read_audit(world.database, since=since).filter(action="drift_respected")
    assert pinned_then == 0
    assert world.layer("pin").height == entered.height == 1


def limits_of(values: dict[tuple[str, str], float]) -> pl.DataFrame:
    rows = [(tenant, limit, value) for (tenant, limit), value in values.items()]
    return pl.DataFrame(rows, schema=LIMITS, orient="row")
