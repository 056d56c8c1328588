from __future__ import annotations

import polars as pl

from policy.effective import EVERYONE, beneath, observed_beneath, overlaid
from policy.frames import LIMITS, empty


def limits(*rows: tuple[str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=LIMITS, orient="row")


DEFAULTS = limits((EVERYONE, "ingestion_rate", 10_000), (EVERYONE, "ingestion_burst_size", 200_000))


def test_our_own_values_are_not_taken_for_the_operators() -> None:
    loaded = limits(("a", "ingestion_rate", 7), ("b", "ingestion_rate", 8))
    published = limits(("a", "ingestion_rate", 7))

    observed = observed_beneath(
        loaded, published=published, defaults=DEFAULTS, remembered=empty(LIMITS)
    )

    assert observed.sort("tenant", "limit").rows() == [
        (EVERYONE, "ingestion_burst_size", 200_000.0),
        (EVERYONE, "ingestion_rate", 10_000.0),
        ("b", "ingestion_rate", 8.0),
    ]


def test_what_lies_hidden_under_our_value_is_remembered() -> None:
    loaded = limits(("a", "ingestion_rate", 7))
    published = limits(("a", "ingestion_rate", 7))
    remembered = limits(("a", "ingestion_rate", 3), ("gone", "ingestion_rate", 4))

    observed = observed_beneath(
        loaded, published=published, defaults=empty(LIMITS), remembered=remembered
    )

    assert observed.rows() == [("a", "ingestion_rate", 3.0)]


def test_a_tenant_without_an_override_has_the_default() -> None:
    observed = pl.concat([limits(("b", "ingestion_rate", 8)), DEFAULTS])

    known = beneath(observed, tenants=["a", "b"], limits=["ingestion_rate"])

    assert sorted(known.rows()) == [("a", "ingestion_rate", 10_000.0), ("b", "ingestion_rate", 8.0)]


def test_a_limit_of_which_nothing_is_known_has_no_row() -> None:
    assert beneath(DEFAULTS, tenants=["a"], limits=["request_rate"]).is_empty()


def test_no_tenants_give_no_rows() -> None:
    assert beneath(DEFAULTS, tenants=[], limits=["ingestion_rate"]).schema == LIMITS


def test_what_lies_above_replaces_what_lies_beneath_pair_by_pair() -> None:
    base = limits(("a", "ingestion_rate", 1), ("a", "ingestion_burst_size", 2))

    seen = overlaid(base, above=limits(("a", "ingestion_rate", 9), ("c", "ingestion_rate", 3)))

    assert sorted(seen.rows()) == [
        ("a", "ingestion_burst_size", 2.0),
        ("a", "ingestion_rate", 9.0),
        ("c", "ingestion_rate", 3.0),
    ]
