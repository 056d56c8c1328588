"""A drill on a real history changes nothing, and says what would happen."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from flows.drill import drill, report
from flows.optimize import optimize
from flows.protect import protect
from policy.breaker_caps import SERIES_MARGIN
from policy.errors import ConfigError
from policy.settings import parse_settings
from storage.database import read_frame
from storage.runs import latest_runs
from tasks.rehearse import _loaded_after, rehearse_blast
from tasks.sinks import FileSink

NewWorld = Callable[..., Any]


def rehearsal(world: Any, **given: Any) -> Any:  # noqa: ANN401 - the world of conftest
    asked = {"tenant": "steady-1", "factor": 20.0, "lasts": timedelta(minutes=5), **given}
    return rehearse_blast(
        partial(read_frame, world.database),
        settings=world.settings(),
        now=world.clock(),
        **asked,
    )


@pytest.mark.parametrize("mode", ["prod", "dry-run"])
async def test_a_drill_tells_a_timeline_and_writes_nothing(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    world = new_world(tree={"mode": mode})
    await world.run(protect)
    await world.run(optimize, after=15)
    before = (world.file.read_bytes(), world.revisions())

    def refuse(*_: object) -> None:
        raise AssertionError("a sink was built for a drill")

    monkeypatch.setattr(FileSink, "__init__", refuse)
    heard = len(world.said)
    await drill.fn(tenant="steady-1", factor=20)

    said = world.said[heard:]
    assert said[0].startswith("drill  0:00  steady-1 asks for ")
    assert any("breaker open: " in line for line in said)
    assert said[-1].endswith("every limit is what it was before")
    assert (world.file.read_bytes(), world.revisions()) == before
    newest = latest_runs(world.database).filter(flow="drill").row(0, named=True)
    assert json.loads(newest["summary"])["detected_seconds"] == 15


async def test_a_drill_starts_from_the_usual_demand_and_the_limits_in_force(
    new_world: NewWorld,
) -> None:
    world = new_world()
    await world.run(optimize)

    found = rehearsal(world)

    # 2,000 samples/s and a margin of a quarter.
    assert found.fair_share == pytest.approx(2_500, rel=0.05)
    markdown = report(found, tenant="steady-1", factor=20)
    assert "| detected after | 15 s |" in markdown
    assert "nothing was changed" in markdown


async def test_a_drill_tells_what_it_goes_by_and_how_large_the_tenant_is(
    new_world: NewWorld,
) -> None:
    """Of two weeks only one is whole at this hour: too few to go by."""
    world = new_world()
    await world.run(optimize)

    begins = rehearsal(world).timeline[0].words

    assert re.search(r"20 . its usual [\d,]+/s of its last hours, [1-9]\d? % of the", begins)


async def test_an_explosion_of_series_is_told_by_what_is_in_memory(new_world: NewWorld) -> None:
    world = new_world()
    await world.run(optimize)

    found = rehearsal(world, kind="series")

    assert found.fair_share == pytest.approx(30_000 * 1.25)
    assert found.detected_after == timedelta(seconds=15)
    assert found.lowest == pytest.approx(30_000 * SERIES_MARGIN)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"tenant": "nobody"}, "what is usual for 'nobody' is not known"),
        ({"factor": 1.0}, "a factor of 1 is no blast"),
        ({"kind": "queries"}, "a drill is of samples or series, not of 'queries'"),
        ({"lasts": timedelta(0)}, "a drill lasts longer than nothing"),
        ({"lasts": timedelta(days=1)}, "no longer than two hours"),
    ],
)
async def test_a_drill_that_cannot_be_is_one_line(
    new_world: NewWorld, given: dict[str, object], problem: str
) -> None:
    world = new_world()

    with pytest.raises(ConfigError, match=problem) as refusal:
        rehearsal(world, **given)

    assert "\n" not in str(refusal.value)


async def test_without_limits_that_are_known_there_is_nothing_to_rehearse_on(
    new_world: NewWorld,
) -> None:
    world = new_world()

    with pytest.raises(ConfigError, match="which limits 'steady-1' has is not known yet"):
        rehearsal(world)


@pytest.mark.parametrize(
    ("publish", "seconds"),
    [
        ({"sink": "file"}, 20),
        ({"sink": "configmap"}, 80),
        ({"sink": "configmap", "touchPods": True}, 20),
    ],
)
def test_a_config_map_takes_longer_to_be_loaded_than_a_file(
    publish: dict[str, object], seconds: int
) -> None:
    settings = parse_settings({"publish": publish})

    assert _loaded_after(settings) == timedelta(seconds=seconds)
