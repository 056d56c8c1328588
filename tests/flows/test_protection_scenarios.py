"""The scenarios of `benchmarks/protection.py` run in closed loop and measure what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.calm import held
from benchmarks.protection import SCENARIOS, Scenario, Wave, row, run
from policy.drill import Look
from policy.drill_protection import breaker_of
from policy.frames import LAYERS, empty
from policy.settings import Settings


@pytest.mark.timeout(180)
async def test_a_blast_is_detected_and_let_go_and_costs_no_other_tenant_a_sample(
    tmp_path: Path,
) -> None:
    found = await run(SCENARIOS["blast x10"], folder=tmp_path)

    assert found.detected is not None
    assert found.detected <= 30
    assert found.collateral == 0
    assert found.held_calm == set()
    assert found.recovered is not None
    assert row("blast x10", found).count("|") == 7


@pytest.mark.timeout(180)
async def test_a_crash_of_an_ingester_loses_nothing_and_holds_nobody(tmp_path: Path) -> None:
    found = await run(SCENARIOS["ingester crash"], folder=tmp_path)

    assert found.detected is None
    assert found.held_calm == set()
    assert found.collateral == 0


@pytest.mark.timeout(180)
async def test_a_cluster_that_is_too_small_loses_samples_of_calm_tenants_and_it_is_measured(
    tmp_path: Path,
) -> None:
    """
    A measure of collateral that is always 0 would measure nothing.
    """
    wave = Wave(tenant="growing-1", factor=40, lasts=60)
    small = SCENARIOS["overload by everybody"]
    scenario = Scenario(waves=(wave,), headroom=1.0, smallest=small.smallest)

    found = await run(scenario, folder=tmp_path)

    assert found.collateral > 0
    assert found.above_samples > 0


def test_a_flat_month_holds_nobody_and_a_protection_that_holds_everybody_is_counted() -> None:
    def nervous(look: Look) -> object:
        return look.demand.select("tenant")

    quiet = held(lambda _: empty(LAYERS), tenants=1, seed=1, days=1)
    calm = held(breaker_of(Settings()), tenants=1, seed=1, days=1)
    counted = held(nervous, tenants=1, seed=1, days=1)  # type: ignore[arg-type]

    assert quiet == calm == {}
    assert len(counted) == 6
    assert set(counted.values()) == {288}
