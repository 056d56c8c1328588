"""What Mimir refuses, and what it takes and gets wrong, is found before it is written."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from policy.catalogue import known_in, limits
from policy.frames import LIMITS
from policy.validate import validate

KNOWN = known_in("3.0.4") | {
    "early_head_compaction_min_estimated_series_reduction_percentage"  # of a later version
}
RATE, BURST, SERIES = "ingestion_rate", "ingestion_burst_size", "max_global_series_per_user"


def problems(*rows: tuple[str | None, str | None, float | None]) -> list[str]:
    return validate(pl.DataFrame(rows, schema=LIMITS, orient="row"), known=KNOWN)


def test_good_limits_have_no_problems() -> None:
    rows = [("team-a", RATE, 1500.5), ("team-a", BURST, 2000.0), ("team-a", SERIES, 0.0)]

    assert problems(*rows) == []


@pytest.mark.parametrize(
    ("limit", "value", "problem"),
    [
        ("max_typos_per_user", 5.0, "does not know this limit"),
        ("max_active_series_per_user", 5.0, "does not know this limit"),
        (None, 5.0, "does not know this limit"),
        ("compactor_blocks_retention_period", 5.0, "is not a number"),
        (RATE, -5.0, "is negative"),
        (BURST, 1500.5, "not a whole number"),
        (BURST, 1e300, "not a whole number"),
        (RATE, float("nan"), "not finite"),
        (RATE, float("inf"), "not finite"),
        (RATE, None, "not finite"),
        (RATE, 0.0, "refuses everything"),
        (BURST, 0.0, "refuses everything"),
        ("max_estimated_fetched_chunks_per_query_multiplier", 0.5, "between 0 and 1"),
        (
            "early_head_compaction_min_estimated_series_reduction_percentage",
            101.0,
            "more than 100 percent",
        ),
        ("query_sharding_total_shards", 12.0, "rounds it to a power of two"),
        ("compactor_split_and_merge_shards", 3.0, "rounds it to a power of two"),
        ("max_label_value_length", 70.0, "truncate or drop"),
    ],
)
def test_a_bad_value_is_named_with_its_tenant_and_limit(
    limit: str | None, value: float | None, problem: str
) -> None:
    found = problems(("team-a", limit, value))

    assert len(found) == 1
    assert found[0].startswith(f"tenant team-a, {limit or '(no limit)'}: ")
    assert problem in found[0]


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("max_estimated_fetched_chunks_per_query_multiplier", 0.0),
        ("max_estimated_fetched_chunks_per_query_multiplier", 1.0),
        ("early_head_compaction_min_estimated_series_reduction_percentage", 100.0),
        ("query_sharding_total_shards", 0.0),
        ("query_sharding_total_shards", 1.0),
        ("query_sharding_total_shards", 2.0**20),
        ("max_label_value_length", 71.0),
    ],
)
def test_what_mimir_takes_at_its_edges_is_taken(limit: str, value: float) -> None:
    assert problems(("team-a", limit, value)) == []


@pytest.mark.parametrize("tenant", ["", ".", "..", "__mimir_cluster", "a b", "a|b", "é", "x" * 151])
def test_an_id_that_mimir_refuses_is_refused(tenant: str) -> None:
    assert ["no tenant id" in line for line in problems((tenant, RATE, 5.0))] == [True]


@pytest.mark.parametrize("tenant", ["x" * 150, "!-_.*'()", "123", "null"])
def test_an_id_that_mimir_takes_is_taken(tenant: str) -> None:
    assert problems((tenant, RATE, 5.0)) == []


def test_a_tenant_without_a_name_is_refused() -> None:
    assert problems((None, RATE, 5.0))[0].startswith("tenant (none), ingestion_rate: ")


def test_a_limit_set_twice_is_refused() -> None:
    found = problems(("a", RATE, 5.0), ("a", RATE, 6.0))

    assert ["set twice" in line for line in found] == [True, True]


def test_a_burst_below_its_rate_is_refused() -> None:
    found = problems(("a", RATE, 500.0), ("a", BURST, 499.0), ("b", RATE, 5.0), ("b", BURST, 5.0))

    assert len(found) == 1
    assert found[0].startswith(f"tenant a, {BURST}: the burst is below {RATE}")


def test_a_limit_that_the_settings_add_is_judged_by_what_they_say_of_it() -> None:
    new = replace(limits()[RATE], name="max_new", type="int")
    frame = pl.DataFrame(
        [("a", "max_new", 0.0), ("b", "max_new", 1.5), ("c", "max_new", 2.0)],
        schema=LIMITS,
        orient="row",
    )

    blocks, cut_off = validate(frame, known={"max_new"}, catalogue={"max_new": new})

    assert blocks.startswith("tenant a, max_new: 0 refuses everything")
    assert cut_off.startswith("tenant b, max_new: the value is not a whole number")


def test_a_file_above_the_budget_is_refused() -> None:
    frame = pl.DataFrame([("a", RATE, 5.0)], schema=LIMITS, orient="row")

    found = validate(frame, known=KNOWN, max_bytes=10)

    assert len(found) == 1
    assert "more than 10" in found[0]
