"""The scenarios of `benchmarks/protection.py` run in closed loop and measure what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.protection import SCENARIOS, row, run


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
    assert row("blast x10", found).count("|") == 8


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ["series explosion", "query flood", "blast in growth"])
async def test_whatever_a_tenant_has_too_much_of_is_held_to_its_fair_share_and_let_go(
    tmp_path: Path, name: str
) -> None:
    found = await run(SCENARIOS[name], folder=tmp_path)

    assert found.detected is not None
    assert found.capped is not None
    assert found.detected <= found.capped <= 60
    assert found.collateral == 0
    assert found.held_calm == set()
    assert found.recovered is not None


@pytest.mark.timeout(180)
async def test_a_crash_of_an_ingester_loses_nothing_and_holds_nobody(tmp_path: Path) -> None:
    found = await run(SCENARIOS["ingester crash"], folder=tmp_path)

    assert found.detected is None
    assert found.held_calm == set()
    assert found.collateral == 0


@pytest.mark.timeout(180)
async def test_an_overload_by_everybody_costs_calm_tenants_less_with_protection_than_without(
    tmp_path: Path,
) -> None:
    """
    The ingesters run full. Protected, nobody who sends its usual is refused a sample: what a
    process refuses by itself before the caps are loaded is all that may be lost.
    """
    overload = replace(SCENARIOS["overload by everybody"], horizon=0.0)
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()

    without = await run(overload, folder=tmp_path / "without", protected=False)
    protected = await run(overload, folder=tmp_path / "with")

    assert without.collateral > 0
    assert protected.refused == 0
    assert protected.overload < without.overload
    assert protected.held_calm, "the caps were there"
