"""What limits reserve, priced by hand, and when that is unknown."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from policy.cost.pricing import COSTS, Method, Terms, priced
from policy.cost.reservation import RESERVED, limits_of_hours, with_reservations
from policy.frames import LIMITS
from policy.signals import INGESTION_RATE, SERIES
from tests.policy.cost.tables import EVERYTHING, NOON, book, rules, usage

USED = {"samples_per_second": 25_000.0, "active_series": 5e5, "queries_per_second": 2.0}


def limits(*, samples: float | None, series: float | None, tenant: str = "a") -> pl.DataFrame:
    rows = [(tenant, INGESTION_RATE, samples), (tenant, SERIES, series)]
    return pl.DataFrame(rows, schema=LIMITS, orient="row").drop_nulls()


def reserved(
    known: pl.DataFrame,
    *,
    method: Method,
    used: dict[str, Any] | None = None,
    **terms: Any,  # noqa: ANN401
) -> tuple[Decimal | None, Decimal | None]:
    """What the limits reserve in the hour, and what of its usage they bound."""
    frame = usage(used or USED)
    how = Terms(
        book=terms.pop("book", None) or book(EVERYTHING),
        method=method,
        weights=rules().weights.model_dump(),
        **terms,
    )
    found = with_reservations(
        priced(frame, terms=how),
        usage=frame,
        limits=limits_of_hours(known, hours=frame["at"]),
        terms=how,
    )
    assert found.schema == COSTS
    row = found.row(0, named=True)
    return row["reserved_amount"], row["reservable_amount"]


def test_a_rate_limit_reserves_what_it_would_cost_used_in_full() -> None:
    """
    50,000 samples/s for an hour are 180 million, 18 at 0.10 a million; half of it is used.
    """
    assert reserved(limits(samples=50_000, series=None), method="samples") == (
        Decimal(18),
        Decimal(9),
    )


def test_a_limit_of_series_reserves_them() -> None:
    """
    Two million series are 40 at 0.02 a thousand hours; half a million are 10.
    """
    assert reserved(limits(samples=None, series=2e6), method="series") == (
        Decimal(40),
        Decimal(10),
    )


def test_the_composite_weighs_both_and_leaves_queries_out() -> None:
    """
    0.4 x 18 + 0.4 x 40 = 23.20 are reserved; 0.4 x 9 + 0.4 x 10 = 7.60 are used of it, while the
    hour also costs 0.2 x 7.20 for queries, which no limit reserves.
    """
    assert reserved(limits(samples=50_000, series=2e6), method="composite") == (
        Decimal("23.20"),
        Decimal("7.60"),
    )


def test_cores_and_memory_are_reserved_by_mimirs_capacity_planning() -> None:
    """
    A million series three times are ten cores of ingesters, and a twentieth of a compactor's;
    50,000 samples/s two of distributors: 12.05 cores, at 0.04 and nothing else priced.
    """
    cores = book({"from": date(2026, 1, 1), "perCoreHour": "0.04"})

    found, _ = reserved(limits(samples=50_000, series=1e6), method="resource", book=cores)

    assert found is not None
    assert abs(found - Decimal("0.482")) < Decimal("1e-8")


@pytest.mark.parametrize("method", ["composite", "resource"])
@pytest.mark.parametrize(
    "known",
    [
        pytest.param(limits(samples=50_000, series=0), id="no limit on series"),
        pytest.param(limits(samples=0, series=2e6), id="a rate of 0"),
        pytest.param(limits(samples=50_000, series=None), id="a limit that nobody told"),
        pytest.param(limits(samples=1.8e308, series=2e6), id="the largest number there is"),
        pytest.param(limits(samples=1, series=1, tenant="b"), id="another's limits"),
    ],
)
def test_what_is_not_limited_reserves_an_unknown_amount_and_never_nothing(
    method: Method, known: pl.DataFrame
) -> None:
    assert reserved(known, method=method) == (None, None)


def test_queries_are_reserved_by_no_limit() -> None:
    assert reserved(limits(samples=50_000, series=2e6), method="queries") == (None, None)


def test_a_component_without_a_price_needs_no_limit() -> None:
    only_samples = book({"from": date(2026, 1, 1), "perMillionSamples": "0.10"})

    found = reserved(limits(samples=50_000, series=0), method="composite", book=only_samples)

    assert found == (Decimal(18), Decimal(9))


def test_half_an_hour_that_was_measured_reserves_half() -> None:
    half = {"samples_per_second": 25_000.0, "covered_seconds": 1800.0}

    assert reserved(limits(samples=50_000, series=0), method="samples", used=half) == (
        Decimal(9),
        Decimal("4.5"),
    )


def test_limits_are_of_each_hour_that_they_were_in_force() -> None:
    found = limits_of_hours(limits(samples=5, series=0), hours=pl.Series([NOON, NOON]))

    assert found.schema == RESERVED
    assert found.rows() == [(NOON, "a", 5.0, None)]
