"""What a run of `cost` recommends to save, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from policy.standings import STANDINGS
from storage.savings import read_realised, read_savings
from storage.standings import replace_standings
from tests.flows.books import HOUR, Books

MONTH_OF_A_SAMPLE = Decimal("2.6298")  # 730.5 hours of a sample a second, 1 a million


def stands(world: Books, value: float, **told: Any) -> None:  # noqa: ANN401 - columns
    row = {
        "at": world.now,
        "tenant": "acme",
        "limit": "ingestion_rate",
        "value": value,
        "recommended": 1_000.0,
        "recent": 900.0,
        "severity": "ok",
        "provision": "over",
    }
    replace_standings(world.database, pl.DataFrame([row | told], schema=STANDINGS))


async def test_savings_are_recommended_by_how_limits_stand_and_each_is_counted_once(
    books: Callable[..., Books],
) -> None:
    world = books()
    world.use("acme", 1.0, hours=2)
    stands(world, 9_000.0)
    await world.run()
    await world.run()
    found = read_savings(world.database)

    world.tree["costOptimization"] = False
    await world.run()

    # 8,000 samples/s less, a month of 2.6298 million seconds, 1 a million.
    assert found.select("kind", "tenant", "exposure", "realised").rows() == [
        ("unused quota", "acme", Decimal("21038.4"), 0)
    ]
    assert world.metric("cost_recommendations_total", kind="unused quota") == 1
    assert world.entries("new", "exposure") == [
        ("savings_found", None, "1", "21,038.40 USD a month")
    ]
    assert read_savings(world.database).is_empty()


async def test_a_small_recommendation_is_counted_and_not_told(books: Callable[..., Books]) -> None:
    """
    Of 100 that were spent 5 are 5 %: 1 sample/s less is 2.6298, 2 are 5.2596.
    """
    world = books()
    world.use("acme", 50.0, hours=2)
    stands(world, 1_001.0)
    await world.run()
    before = world.entries("new")
    stands(world, 1_002.0, limit="ingestion_rate", tenant="beta")
    await world.run()

    assert before == []
    assert world.metric("cost_recommendations_total", kind="unused quota") == 2
    assert world.entries("new") == [("savings_found", None, "1")]


async def test_what_was_followed_cuts_exposure_at_once_and_spend_after_a_week(
    books: Callable[..., Books],
) -> None:
    """
    1 an hour is 277.8 samples/s. The limit came from 9,000 down to 100, and 0.36 an hour is what
    passes: 0.64 less in each of 730.5 hours.
    """
    world = books()
    week = 7 * 24
    world.use("acme", 1.0, hours=week)
    world.price_the_past(days=7)
    stands(world, 9_000.0, recommended=100.0)
    await world.run()
    began = world.now
    world.now += HOUR
    world.use("acme", 0.36)
    stands(world, 100.0, provision="fits")
    await world.run()
    at_once = read_realised(world.database)
    world.now += timedelta(days=7)
    world.use("acme", 0.36, hours=week)
    world.price_the_past(days=7)
    await world.run()
    (after,) = read_realised(world.database).to_dicts()

    assert read_savings(world.database).is_empty()
    assert at_once.select("recommended_since", "value", "reached", "exposure", "spend").rows() == [
        (began, 9_000.0, 100.0, 8_900 * MONTH_OF_A_SAMPLE, None)
    ]
    assert after["since"] == began + HOUR
    # One of the 168 hours before was already of the lower limit.
    before = Decimal(167) / 168 + Decimal("0.36") / 168
    expected = (before - Decimal("0.36")) * Decimal("730.5")
    assert float(after["spend"]) == pytest.approx(float(expected), rel=1e-9)


async def test_what_is_undone_is_realised_no_more_and_stays_in_the_history(
    books: Callable[..., Books],
) -> None:
    world = books()
    world.use("acme", 1.0, hours=2)
    stands(world, 9_000.0)
    await world.run()
    stands(world, 1_000.0, provision="fits")
    await world.run()
    held = read_realised(world.database).height
    stands(world, 9_000.0)
    await world.run()

    assert held == 1
    assert read_realised(world.database).is_empty()
    told = world.database.cursor().execute("select over_at from v_savings_realised")
    assert told.fetchall() == [(world.now,)]
    assert read_savings(world.database)["since"].to_list() == [world.now]


async def test_a_recommendation_that_stands_no_more_for_another_reason_was_not_followed(
    books: Callable[..., Books],
) -> None:
    """
    The tenant asks for more now: the limit fits, and nobody has lowered it.
    """
    world = books()
    world.use("acme", 1.0, hours=2)
    stands(world, 9_000.0)
    await world.run()
    stands(world, 9_000.0, provision="fits", recommended=8_500.0)
    await world.run()

    assert read_savings(world.database).is_empty()
    assert read_realised(world.database).is_empty()


async def test_samples_that_are_refused_as_duplicates_are_weighed_over_the_week(
    books: Callable[..., Books],
) -> None:
    """
    600 samples/s in one day and none in the other: a mean of 300 of the 2,000 that are let in.
    """
    world = books()
    world.use("acme", 1.0)
    world.ask("acme", days=2, samples_received_per_second=2_000.0)
    world.ask("acme", days=1, discarded_duplicates_per_second=600.0)
    await world.run()

    found = read_savings(world.database)
    assert found.select("kind", "value", "avoided").rows() == [
        ("duplicate samples", 0.15, 300 * MONTH_OF_A_SAMPLE)
    ]


async def test_a_tenant_in_too_large_a_tier_is_told_which_one_fits(
    books: Callable[..., Books],
) -> None:
    """
    900 samples/s with 20 % of room are 1,080, and 2,000 is 7,000 below 9,000.
    """
    world = books()
    world.others = {
        "bufferPercentage": 20,
        "limits": {
            "tenantTiers": {
                "gold": {"limits": {"ingestion_rate": 9_000}},
                "bronze": {"limits": {"ingestion_rate": 2_000}},
            }
        },
        "tenantTierMapping": {"acme": "gold"},
    }
    world.use("acme", 1.0)
    world.ask("acme", days=30, ingestion_rate=900.0)
    stands(world, 9_000.0, provision="fits")
    await world.run()

    found = read_savings(world.database)
    assert found.select("kind", "limit", "exposure", "target").rows() == [
        ("other tier", "ingestion_rate", 7_000 * MONTH_OF_A_SAMPLE, 2_000.0)
    ]
    assert found["command"].item() == "tenantTierMapping: {'acme': 'bronze'}"
