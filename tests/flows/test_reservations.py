"""Limits in force are noted with the hour that they were in force in, and priced beside it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

from policy.cost.periods import Period
from storage.costs import costs_between
from storage.spending import idle, spent
from tests.flows.books import HOUR, Books

EIGHT = 8 / 0.0036  # samples/s that cost 8 an hour


def hours_of(world: Books, *, count: int) -> list[tuple[object, ...]]:
    """What each of the newest hours cost and reserved, the newest first."""
    end = world.now.replace(minute=0)
    found = costs_between(world.database, start=end - count * HOUR, end=end).reverse()
    return found.select("amount", "reserved_amount", "reservable_amount").rows()


async def test_the_newest_hour_is_priced_by_the_limit_now_and_older_ones_are_unknown(
    books: Callable[..., Books],
) -> None:
    world = books()
    world.limit("acme", ingestion_rate=EIGHT, max_global_series_per_user=0)
    world.use("acme", 2.0, hours=2)

    await world.run()

    assert hours_of(world, count=2) == [(2, 8, 2), (2, None, None)]


async def test_what_was_noted_stays_when_the_limit_changes_and_the_hour_is_priced_again(
    books: Callable[..., Books],
) -> None:
    world = books()
    world.limit("acme", ingestion_rate=EIGHT)
    world.use("acme", 2.0)
    await world.run()

    world.limit("acme", ingestion_rate=EIGHT / 2)
    world.now += HOUR
    world.use("acme", 2.0)
    await world.run()
    world.price_the_past(days=1)

    assert hours_of(world, count=2) == [(2, 4, 2), (2, 8, 2)]


async def test_a_tenant_without_a_limit_reserves_an_unknown_amount(
    books: Callable[..., Books],
) -> None:
    world = books()
    world.use("acme", 2.0)

    await world.run()

    assert hours_of(world, count=1) == [(2, None, None)]


async def test_a_run_charges_the_bill_where_the_list_calibrates(
    books: Callable[..., Books],
) -> None:
    """
    November has 720 hours: a bill of 7,200 is 10 an hour, of which a third and two thirds are
    charged where list prices say 1 and 2.
    """
    world = books(
        prices=[
            {"from": "2026-01-01", "perMillionSamples": 1, "monthlyBill": 7200, "calibrate": True}
        ]
    )
    world.use("acme", 1.0)
    world.use("beta", 2.0)

    await world.run()

    end = world.now.replace(minute=0)
    newest = Period(start=end - timedelta(hours=1), end=end)
    found = spent(world.database, [newest])
    assert dict(found.select("tenant", "amount").iter_rows()) == {
        "acme": Decimal("3.333333333"),
        "beta": Decimal("6.666666667"),
    }
    assert idle(world.database, [newest]).row(0)[2:] == (10, 0, 3, 10)
