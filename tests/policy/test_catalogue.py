"""Which limits Mimir knows, and what their zero means."""

from __future__ import annotations

import pytest

from policy.catalogue import (
    CORTEX,
    MIMIR_RELEASES,
    blocked_at_zero,
    integers,
    known_in,
    limits,
    unlimited_at_zero,
)
from policy.errors import ConfigError
from policy.rules import Rules


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
