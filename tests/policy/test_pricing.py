from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl

from policy.pricing import price_samples

HOUR = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_an_hour_at_a_steady_rate_costs_what_a_hand_computes() -> None:
    """
    50,000 samples/s for an hour are 180 million samples; at 0.001 a million that is 0.18.
    """
    usage = pl.DataFrame({"tenant": ["a"], "value_seconds": [50_000.0 * 3600]})

    priced = price_samples(usage, hour=HOUR, price_per_million=Decimal("0.001"), currency="USD")

    row = priced.row(0, named=True)
    assert row["amount"] == Decimal("0.180000")
    assert (row["tenant"], row["at"], row["currency"]) == ("a", HOUR, "USD")


def test_a_tenant_that_sent_nothing_costs_nothing() -> None:
    usage = pl.DataFrame({"tenant": ["a"], "value_seconds": [0.0]})

    priced = price_samples(usage, hour=HOUR, price_per_million=Decimal(7), currency="EUR")

    assert priced["amount"].to_list() == [Decimal(0)]
