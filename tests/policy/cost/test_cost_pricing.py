"""Bills computed by hand, and the identities that hold for every bill."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.cost.capacity import Cluster
from policy.cost.prices import price_book
from policy.cost.pricing import COSTS, Method, Terms, priced
from policy.cost.usage import USAGE
from tests.policy.cost.tables import EVERYTHING, HOUR, NOON, book, rules


def usage(**columns: Any) -> pl.DataFrame:  # noqa: ANN401 - values of the columns
    row = {"at": NOON, "tenant": "a", "covered_seconds": 3600.0, **columns}
    return pl.DataFrame([row], schema=USAGE)


def bill(frame: pl.DataFrame, *, method: Method, **terms: Any) -> dict[str, Any]:  # noqa: ANN401
    given_book = terms.pop("book", None) or book(EVERYTHING)
    weights = rules().weights.model_dump()
    found = priced(frame, terms=Terms(book=given_book, method=method, weights=weights, **terms))
    assert found.schema == COSTS
    return found.row(0, named=True)


def test_an_hour_of_samples_costs_what_a_hand_computes() -> None:
    """
    50,000 samples/s for an hour are 180 million; at 0.10 a million that is 18.
    """
    row = bill(usage(samples_per_second=50_000.0), method="samples")

    assert (row["samples"], row["amount"]) == (180e6, Decimal(18))


def test_an_hour_of_series_costs_what_a_hand_computes() -> None:
    """
    Two million series are 2,000 thousands; at 0.02 an hour that is 40.
    """
    row = bill(usage(active_series=2e6), method="series")

    assert (row["series_hours"], row["amount"]) == (2e6, Decimal(40))


def test_queries_and_their_seconds_are_both_priced() -> None:
    """
    Two queries a second are 7,200 at 0.001, which is 7.20. Three seconds of queriers and one of
    rules each second are 14,400 seconds at 0.0005, which is 7.20 again.
    """
    row = bill(
        usage(queries_per_second=2.0, query_seconds_per_second=3.0, ruler_seconds_per_second=1.0),
        method="queries",
    )

    assert row["amount"] == Decimal("14.40")


def test_what_is_stored_costs_for_as_long_as_it_is_kept() -> None:
    """
    A billion samples of two bytes are 2 GB; kept for 13 months at 0.03 that is 0.78.
    """
    row = bill(usage(samples_per_second=1e9 / 3600), method="samples", retention_months=13.0)

    assert row["storage_amount"] == Decimal("0.78")


def test_the_composite_weighs_what_each_component_costs() -> None:
    """
    18 of samples, 40 of series, 7.20 of queries: 0.4 x 18 + 0.4 x 40 + 0.2 x 7.20 = 24.64.
    """
    row = bill(
        usage(samples_per_second=50_000.0, active_series=2e6, queries_per_second=2.0),
        method="composite",
    )

    assert (row["amount"], row["unknown"]) == (Decimal("24.64"), "")


def test_a_component_without_a_price_leaves_its_weight_to_those_with_one() -> None:
    only_samples = book({"from": date(2026, 1, 1), "perMillionSamples": "0.10"})

    row = bill(usage(samples_per_second=50_000.0), method="composite", book=only_samples)

    assert (row["amount"], row["unknown"]) == (Decimal(18), "queries,series")


def test_what_was_not_measured_is_named_and_costs_nothing() -> None:
    row = bill(usage(samples_per_second=50_000.0), method="composite")

    assert (row["amount"], row["unknown"]) == (Decimal("7.20"), "queries,series")


def test_an_hour_of_which_nothing_is_known_has_no_amount() -> None:
    row = bill(usage(), method="series")

    assert (row["amount"], row["unknown"]) == (None, "series")


def test_half_an_hour_that_was_measured_costs_half() -> None:
    row = bill(usage(samples_per_second=50_000.0, covered_seconds=1800.0), method="samples")

    assert row["amount"] == Decimal(9)


def test_a_million_series_need_what_mimirs_capacity_planning_says() -> None:
    """
    A million series three times are ten ingester cores, 25 GB and 50 GB of disk; 50,000 samples/s
    two distributor cores and 2 GB; the compactor a twentieth of a core, 0.2 GB, and 15 GB of disk;
    the store-gateways 13 GB of disk.
    """
    row = bill(
        usage(samples_per_second=50_000.0, memory_series=1e6, active_series=1e6),
        method="resource",
        cluster=Cluster(replication=3.0),
    )

    assert row["core_hours"] == pytest.approx(10 + 2 + 0.05)
    assert row["memory_gb_hours"] == pytest.approx(25 + 2 + 0.2)
    assert row["disk_gb_hours"] == pytest.approx(50 + 15 + 13)
    of_disk = Decimal(78) * Decimal("0.1") / Decimal("730.5")
    by_hand = Decimal("12.05") * Decimal("0.04") + Decimal("27.2") * Decimal("0.005") + of_disk
    assert abs(row["amount"] - by_hand) < Decimal("1e-7")


def test_each_hour_is_priced_by_the_list_of_its_day() -> None:
    """
    A list begins at midnight of the time zone that bills are in: in Berlin an hour before UTC's.
    """
    lists = price_book(
        rules(
            timeZone="Europe/Berlin",
            prices=[
                {"from": date(2026, 1, 1), "perMillionSamples": 1},
                {"from": date(2026, 12, 1), "perMillionSamples": 2},
            ],
        )
    )
    before, first = (datetime(2026, 11, 30, hour, tzinfo=UTC) for hour in (22, 23))
    rows = pl.concat(
        usage(samples_per_second=1e6 / 3600).with_columns(at=pl.lit(at, dtype=USAGE["at"]))
        for at in (before, first, datetime(2025, 1, 1, tzinfo=UTC))
    )

    found = priced(rows, terms=Terms(book=lists, method="samples"))

    assert found["amount"].to_list() == [Decimal(1), Decimal(1), Decimal(2)]


RATES = st.floats(0, 1e7, allow_nan=False)


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from("abc"), RATES, RATES, RATES),
        max_size=20,
        unique_by=lambda row: row[:2],
    ),
    method=st.sampled_from(["samples", "series", "queries", "composite", "resource"]),
)
def test_a_sum_of_hours_is_the_sum_of_its_parts_however_it_is_cut(
    rows: list[tuple[int, str, float, float, float]], method: Method
) -> None:
    frame = pl.DataFrame(
        [
            {
                "at": NOON + hour * HOUR,
                "tenant": tenant,
                "covered_seconds": 3600.0,
                "samples_per_second": samples,
                "active_series": series,
                "queries_per_second": queries,
            }
            for hour, tenant, samples, series, queries in rows
        ],
        schema=USAGE,
    )
    terms = Terms(book=book(EVERYTHING), method=method, weights=rules().weights.model_dump())

    whole = priced(frame, terms=terms)

    each = [priced(frame.slice(n, 1), terms=terms) for n in range(frame.height)]
    apart = sum((one["amount"][0] for one in each), Decimal(0))
    by_tenant = whole.group_by("tenant").agg(pl.col("amount").sum())
    assert whole["amount"].sum() == apart == sum(by_tenant["amount"], Decimal(0))
    assert whole.select((pl.col("amount") >= 0).all()).item()


def test_without_lists_a_million_samples_cost_the_unit() -> None:
    lists = price_book(rules(costPerUnit="0.001")).lists

    assert [each.per_million_samples for each in lists] == [Decimal("0.001")]


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"prices": [{"from": "2026-01-01", "perQuery": -1}]}, r"prices\[0\]\.perQuery"),
        ({"prices": [{"perQuery": 1}]}, r"prices\[0\]\.from"),
        ({"prices": [{"from": "soon"}]}, r"prices\[0\]\.from"),
        (
            {"prices": [{"from": "2026-01-01"}, {"from": "2026-01-01"}]},
            "2026-01-01 begins another list already",
        ),
        ({"tenantBudgets": {"a": {"monthly": 1, "currency": "EUR"}}}, "currency: is EUR"),
        ({"timeZone": "Mars/Olympus"}, "no time zone"),
        ({"weights": {"samples": 2}}, r"weights\.samples"),
    ],
)
def test_a_price_book_that_is_none_is_refused(tree: dict[str, Any], said: str) -> None:
    with pytest.raises(Exception, match=said):
        rules(**tree)
