"""An earlier revision again, whole or of one tenant, and held whatever else is decided."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from flows.maintain import maintain
from flows.optimize import optimize
from flows.protect import protect
from flows.rollback import rollback
from policy.errors import ConfigError
from policy.holds import EVERYONE
from policy.pins import Pin
from simulator import Fault
from storage.audit import read_audit
from storage.holds import read_holds, release
from storage.moves import moves
from storage.pins import pin

INTERVAL = 15.0
DAY = 24 * 3600.0
RATE = "ingestion_rate"

NewWorld = Callable[..., Any]


async def published(world: Any) -> None:  # noqa: ANN401 - the world of conftest
    """Revision 1 is what was found, an empty document; revision 2 has limits, and is confirmed."""
    for flow in (protect, optimize, protect):
        await world.run(flow, after=INTERVAL)


async def test_everyone_goes_back_to_an_earlier_revision_and_stays_there(
    new_world: NewWorld,
) -> None:
    world = new_world()
    await published(world)
    decided = world.limits()

    said = await rolled_back(world, 1, reason="bad news")
    for _ in range(3):
        await world.run(optimize, after=INTERVAL)
        await world.run(protect, after=INTERVAL)

    assert decided
    assert world.limits() == {}
    assert said[0] == "everyone is held at revision 1 by anna: bad news"
    assert world.revisions()[-1] == ("optimizer", "confirmed")
    assert world.layer("optimized").height >= len(decided), "what is decided waits beneath"


async def test_one_tenant_goes_back_and_the_others_stay(new_world: NewWorld) -> None:
    world = new_world()
    await published(world)
    decided = world.limits()
    tenant = min(tenant for tenant, _ in decided)

    await rolled_back(world, 1, tenant=tenant)

    assert world.limits() == {key: value for key, value in decided.items() if key[0] != tenant}


async def test_what_was_said_then_is_in_force_again_over_what_was_decided_since(
    new_world: NewWorld,
) -> None:
    world = new_world()
    await published(world)
    then = world.limits()
    key = next(key for key in then if key[1] == RATE)
    word = Pin(
        tenant=key[0],
        limit=RATE,
        value=77_000.0,
        reason="a test",
        by="ben",
        since=world.clock(),
        until=None,
    )
    pin(world.database, word)
    await world.run(protect, after=INTERVAL)
    await world.run(protect, after=INTERVAL)

    await rolled_back(world, 2)
    pinned = world.limits()
    world.database.cursor().execute("delete from layers where layer = 'pin'")
    await world.run(protect, after=INTERVAL)

    assert pinned == then | {key: 77_000.0}, "a pin is an operator's word on one limit"
    assert world.limits() == then


async def test_a_hold_that_ends_gives_back_what_was_decided(new_world: NewWorld) -> None:
    world = new_world()
    await published(world)
    decided = world.limits()

    await rolled_back(world, 1, hold_for="10m")
    held = world.limits()
    await world.run(protect, after=600.0)
    await world.run(maintain)

    assert held == {}
    assert world.limits() == decided
    assert read_holds(world.database).is_empty()


async def test_a_released_tenant_falls_back_to_the_hold_of_everyone(new_world: NewWorld) -> None:
    world = new_world()
    await published(world)
    decided = world.limits()
    tenant = min(tenant for tenant, _ in decided)
    await rolled_back(world, 1)
    await rolled_back(world, 2, tenant=tenant)
    one = world.limits()

    release(
        world.database, tenant=EVERYONE, everyone=None, by="anna", reason=None, at=world.clock()
    )
    await world.run(protect, after=INTERVAL)

    assert one == {key: value for key, value in decided.items() if key[0] == tenant}
    assert world.limits() == decided


async def test_a_revision_that_mimir_refused_is_refused_here_too(new_world: NewWorld) -> None:
    world = new_world()
    await world.run(protect)
    world.cluster.inject(Fault(process="ingester-1", kind="refuse_reload"))
    await world.run(optimize, after=INTERVAL)
    await world.run(protect, after=INTERVAL)
    before = world.limits()

    with pytest.raises(ConfigError, match="revision 2 cannot be held, it reverted"):
        await rolled_back(world, 2)

    assert world.limits() == before
    assert read_holds(world.database).is_empty()


async def test_a_revision_with_a_name_that_mimir_no_longer_knows_is_not_held(
    new_world: NewWorld,
) -> None:
    world = new_world()
    await published(world)
    document = 'overrides:\n  "a":\n    max_gone_limit: 5\n'
    world.database.cursor().execute(
        'insert into revisions (revision, "at", actor, sink, document, sha256, changes, outcome)'
        " select 99, now(), 'anna', 's', ?, 'x', '[]', 'confirmed'",
        [document],
    )

    with pytest.raises(ConfigError, match="nothing could be published any more"):
        await rolled_back(world, 99)

    assert read_holds(world.database).is_empty()


async def test_who_rolled_back_to_what_and_why_is_audited(new_world: NewWorld) -> None:
    world = new_world()
    await published(world)

    await rolled_back(world, 1, hold_for="1d", reason="bad news")

    found = read_audit(world.database, since=world.clock() - timedelta(hours=1), category="user")
    entry = found.row(0, named=True)
    assert (entry["action"], entry["actor"], entry["tenant"]) == ("rollback", "anna", None)
    assert json.loads(entry["details"]) == {
        "revision": 1,
        "reason": "bad news",
        "until": (world.clock() + timedelta(days=1)).isoformat(),
    }


async def test_in_a_dry_run_it_is_told_and_nothing_is_written(new_world: NewWorld) -> None:
    world = new_world()
    await published(world)
    before = world.file.read_bytes()
    world.tree = {"mode": "dry-run"}

    await rolled_back(world, 1)

    assert world.file.read_bytes() == before
    assert world.revisions()[-1] == ("optimizer", "confirmed")


@pytest.mark.parametrize("given", [{"reason": " "}, {"hold_for": "soon"}, {"by": ""}])
async def test_what_is_not_said_well_holds_nobody(
    new_world: NewWorld, given: dict[str, str]
) -> None:
    world = new_world()
    await published(world)

    with pytest.raises(ConfigError, match=next(iter(given))):
        await rolled_back(world, 1, **given)

    assert read_holds(world.database).is_empty()


async def rolled_back(world: Any, revision: int, **given: str) -> list[str]:  # noqa: ANN401
    heard = len(world.said)
    world.now += INTERVAL
    await rollback.fn(revision, **{"reason": "a test", "by": "anna", **given})  # type: ignore[misc]
    said: list[str] = world.said[heard:]
    return said


async def test_a_tenant_whose_own_hold_ends_is_held_with_everyone_again(
    new_world: NewWorld,
) -> None:
    world = new_world()
    await published(world)
    decided = world.limits()
    tenant = min(tenant for tenant, _ in decided)
    await rolled_back(world, 2)
    await rolled_back(world, 1, tenant=tenant, hold_for="1h")
    alone = world.limits()

    await world.run(protect, after=3_700.0)

    assert {key for key in alone if key[0] == tenant} == set()
    assert world.limits() == decided


async def test_what_is_decided_for_who_is_held_is_no_move(new_world: NewWorld) -> None:
    """Nothing of it was tried: it proves nothing, and starts no cool-down."""
    world = new_world()
    await world.run(protect)
    await rolled_back(world, 1)

    await world.run(optimize, after=INTERVAL)

    found = moves(world.database, now=world.clock(), window=timedelta(days=1))
    assert found.drop_nulls("lowered_at").is_empty()
    assert found.drop_nulls("raised_at").is_empty()


async def test_a_dry_run_keeps_what_was_decided_beneath_a_hold(new_world: NewWorld) -> None:
    world = new_world()
    await published(world)
    decided = world.layer("optimized").select("tenant", "limit", "value").rows()
    await rolled_back(world, 1)
    world.tree = {"mode": "dry-run"}

    await world.run(optimize, after=INTERVAL)

    assert set(decided) <= set(world.layer("optimized").select("tenant", "limit", "value").rows())


async def test_a_tenant_that_nobody_knows_is_not_held(new_world: NewWorld) -> None:
    world = new_world()
    await published(world)

    with pytest.raises(ConfigError, match="nothing is known of a tenant 'steedy-1'"):
        await rolled_back(world, 1, tenant="steedy-1")

    assert read_holds(world.database).is_empty()
