"""Which tenants are in a tier that is too large for them, or too small."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO
from typing import Any

import polars as pl
import pytest
from ruamel.yaml import YAML

from policy.cost.recommendation import SAVINGS
from policy.cost.tiering import PEAKS, moves, tier_changes
from policy.settings import Settings, parse_settings
from policy.standings import STANDINGS
from policy.tenancy import tiers

RATE, SERIES, REQUESTS = "ingestion_rate", "max_global_series_per_user", "request_rate"
SIZES: dict[str, dict[str, float]] = {
    "large": {RATE: 90_000, SERIES: 900_000},
    "middle": {RATE: 30_000, SERIES: 300_000},
    "small": {RATE: 10_000, SERIES: 100_000},
}


def settings(sizes: dict[str, dict[str, float]], **more: Any) -> Settings:  # noqa: ANN401 - a tree
    tree = {name: {"limits": limits, **more} for name, limits in sizes.items()}
    return parse_settings({"bufferPercentage": 20, "limits": {"tenantTiers": tree}})


def found(
    *peaks: tuple[str, float | None, int, bool],
    tier: str = "large",
    in_force: dict[str, float] | None = None,
    sizes: dict[str, dict[str, float]] | None = None,
    tenant: str = "acme",
    **more: Any,  # noqa: ANN401 - of each tier
) -> list[dict[str, Any]]:
    known = SIZES if sizes is None else sizes
    limits = known[tier] if in_force is None else in_force
    standings = [{"tenant": tenant, "limit": limit, "value": v} for limit, v in limits.items()]
    told = tier_changes(
        tiers(pl.Series([tenant]), mapping={"*": tier}),
        moves=moves(settings(known, **more)),
        peaks=pl.DataFrame([(tenant, *row) for row in peaks], schema=PEAKS, orient="row"),
        standings=pl.DataFrame(standings, schema=STANDINGS),
        month_of={RATE: Decimal(2)},
    )
    assert told.schema == SAVINGS
    return told.sort("limit").to_dicts()


def test_a_tier_is_left_for_the_smallest_that_holds_the_peaks_with_the_same_room() -> None:
    """
    20 % above 20,000 is 24,000: the middle one holds it, the small one does not.
    """
    told = found((RATE, 20_000.0, 30, False), (SERIES, 50_000.0, 30, False))

    assert [(each["limit"], each["value"], each["target"]) for each in told] == [
        (RATE, 90_000, 30_000),
        (SERIES, 900_000, 300_000),
    ]
    assert [each["exposure"] for each in told] == [60_000 * 2, None]
    assert [each["avoided"] for each in told] == [0, 0]
    assert told[0]["because"] == (
        "tier middle allows 30,000, which holds its peak of 30 days, 20,000, with 20 %; "
        "it is in large"
    )


@pytest.mark.parametrize(("peak", "target"), [(8_333.0, 10_000), (8_334.0, 30_000)])
def test_the_room_is_the_buffer(peak: float, target: float) -> None:
    told = found((RATE, peak, 30, False), (SERIES, 1.0, 30, False))

    assert told[0]["target"] == target


def test_the_buffer_of_the_tier_wins() -> None:
    told = found((RATE, 8_000.0, 30, False), (SERIES, 1.0, 30, False), bufferPercentage=50)

    assert told[0]["target"] == 30_000


@pytest.mark.parametrize(
    "series",
    [
        pytest.param((SERIES, 1.0, 27, False), id="measured for less than 28 days"),
        pytest.param((SERIES, 1.0, 30, True), id="something was refused"),
        pytest.param((SERIES, None, 30, False), id="all of it was a blast"),
        pytest.param((REQUESTS, 1.0, 30, False), id="not measured"),
    ],
)
def test_what_is_not_proven_of_one_limit_holds_the_tenant_where_it_is(
    series: tuple[str, float | None, int, bool],
) -> None:
    told = found((RATE, 1.0, 30, False), series, sizes={k: SIZES[k] for k in ("large", "small")})

    assert [each for each in told if each["target"] < each["value"]] == []


def test_where_the_tier_does_not_set_the_limit_in_force_it_cuts_nothing() -> None:
    measured = {RATE: 12_000.0, SERIES: 900_000.0}
    told = found((RATE, 1.0, 30, False), (SERIES, 1.0, 30, False), in_force=measured)

    assert [each["limit"] for each in told] == [SERIES]


def test_a_tenant_that_its_tier_refuses_belongs_in_the_next_one_and_that_cuts_nothing() -> None:
    """
    24,000 with 20 % of room is 28,800: the middle tier, which allows 20,000 more.
    """
    told = found((RATE, 24_000.0, 3, True), (SERIES, 1.0, 30, False), tier="small")

    assert (told[0]["limit"], told[0]["target"], told[0]["exposure"]) == (RATE, 30_000, -40_000)
    assert told[0]["because"] == (
        "its tier small refused it in the last 30 days; tier middle allows 30,000"
    )


def test_nobody_is_moved_to_a_tier_that_would_refuse_as_well() -> None:
    assert found((RATE, 80_000.0, 30, True), (SERIES, 1.0, 30, False), tier="small") == []


def test_tiers_that_set_other_limits_or_are_larger_in_one_cannot_be_compared() -> None:
    other = {"large": SIZES["large"], "other": {RATE: 10.0}}
    mixed = {"large": SIZES["large"], "mixed": {RATE: 10.0, SERIES: 900_001}}

    assert moves(settings(other)).is_empty()
    assert moves(settings(mixed)).is_empty()


def test_what_is_unlimited_is_the_largest() -> None:
    sizes: dict[str, dict[str, float]] = {"free": {SERIES: 0}, "small": {SERIES: 100_000}}
    between = moves(settings(sizes))

    assert between.filter("down").select("tier", "to", "then").rows() == [
        ("free", "small", 100_000.0)
    ]
    assert found((SERIES, 90_000.0, 9, True), tier="small", sizes=sizes) == []


@pytest.mark.parametrize("tenant", ["acme", "o'brien", "a*(b)!"])
def test_the_snippet_is_of_this_tenant_alone(tenant: str) -> None:
    told = found((RATE, 1.0, 30, False), (SERIES, 1.0, 30, False), tenant=tenant)

    mapping = YAML(typ="safe", pure=True).load(StringIO(told[0]["command"]))["tenantTierMapping"]
    everybody = pl.Series([tenant, f"{tenant}2", tenant.replace("*", "x")]).unique()
    matched = tiers(everybody, mapping=mapping).drop_nulls("tier")
    assert matched.rows() == [(tenant, "small")]
