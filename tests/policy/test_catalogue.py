"""Which limits Mimir knows, and what their zero means."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import get_args

import pytest

from policy.catalogue import (
    CORTEX,
    MIMIR_RELEASES,
    Class,
    blocked_at_zero,
    demands,
    integers,
    known_in,
    limits,
    unlimited_at_zero,
)
from policy.errors import ConfigError
from policy.rules import Rules
from policy.signals import PRESSURE_ON


def test_zero_is_unlimited_for_series_and_blocks_for_the_rate() -> None:
    assert "max_global_series_per_user" in unlimited_at_zero()
    assert {"ingestion_rate", "ingestion_burst_size"} <= blocked_at_zero()


def test_zero_never_means_both() -> None:
    assert not unlimited_at_zero() & blocked_at_zero()


def test_the_rate_is_a_float_and_the_burst_is_whole() -> None:
    assert "ingestion_burst_size" in integers()
    assert "ingestion_rate" not in integers()


@pytest.mark.parametrize("version", [*(label for _, label in MIMIR_RELEASES), CORTEX, "2.0.1"])
def test_every_version_knows_what_is_recommended_by_default(version: str) -> None:
    assert known_in(version) >= set(Rules(buffer_percentage=20).limits)


def test_a_version_between_two_may_use_only_what_both_know() -> None:
    """3.0 came after the tree of January 2024 and before that of February 2026."""
    both = known_in("mimir_main_2024_01") & known_in("mimir_main_2026_02")

    assert known_in("3.0.4") == both
    assert "max_active_series_per_user" not in known_in("3.0.4")
    assert "max_active_series_per_user" in known_in("3.1.0")


def test_a_version_newer_than_all_is_taken_for_the_newest() -> None:
    assert known_in("v9.1.0-rc.2") == known_in("mimir_main_newest_2026")


@pytest.mark.parametrize("version", ["", "newest", "3", "x.y"])
def test_a_version_that_cannot_be_read_is_refused(version: str) -> None:
    with pytest.raises(ConfigError, match="give a release such as"):
        known_in(version)


def test_every_limit_is_known_to_some_version() -> None:
    labels = {label for _, label in MIMIR_RELEASES} | {CORTEX}

    assert all(set(limit.present_in) & labels for limit in limits().values())


def test_every_limit_has_a_class_and_a_way_in_which_its_demand_shows() -> None:
    for limit in limits().values():
        assert limit.automation in get_args(Class)
        assert limit.observable in {"metric", "api", "reject", "none"}


def test_what_shows_in_a_metric_names_it_and_gives_a_query_for_each_kind_of_storage() -> None:
    shown = [limit for limit in limits().values() if limit.observable == "metric"]

    assert shown
    for limit in shown:
        assert limit.metric
        assert set(limit.promql) in ({"any"}, {"classic", "ingest_storage"})


def test_what_shows_only_as_refusals_says_where() -> None:
    hidden = [limit for limit in limits().values() if limit.observable == "reject"]

    assert hidden
    assert all(limit.reject for limit in hidden)


def test_a_class_that_is_sized_by_itself_is_a_number_whose_demand_is_measured() -> None:
    """Else a limit would be auto in name only."""
    for limit in limits().values():
        if limit.automation == "auto":
            assert limit.is_number
            assert limit.signal == limit.name
            assert limit.observable == "metric"


def test_what_deletes_data_is_destructive() -> None:
    destructive = {name for name, limit in limits().items() if limit.automation == "destructive"}

    assert destructive == {
        "compactor_blocks_retention_period",
        "compactor_partial_block_deletion_delay",
    }


def test_refusals_are_no_demand() -> None:
    assert not demands() & set(PRESSURE_ON.values())


def test_the_names_are_sorted_and_unique() -> None:
    text = files("policy").joinpath("mimir_limits.json").read_text(encoding="utf-8")
    names = [row["name"] for row in json.loads(text)]

    assert names == sorted(set(names))
