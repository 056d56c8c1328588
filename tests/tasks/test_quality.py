"""How good our own work is, as Prometheus sees it."""

from __future__ import annotations

import polars as pl
from prometheus_client import CollectorRegistry

from policy.frames import DECISIONS
from tasks.quality import OwnQuality
from tests.policy.stood import standing, standings_of

RATE, SERIES = "ingestion_rate", "max_global_series_per_user"


def decisions(*rows: tuple[str, str, str, str]) -> pl.DataFrame:
    names = ("tenant", "limit", "outcome", "reason")
    told = [dict.fromkeys(DECISIONS.names()) | dict(zip(names, row, strict=True)) for row in rows]
    return pl.DataFrame(told, schema=DECISIONS)


def shown(*runs: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]) -> CollectorRegistry:
    registry = CollectorRegistry()
    quality = OwnQuality(prefix="mlo")
    registry.register(quality)
    for stood, decided, changed in runs:
        quality.show(stood, decisions=decided, changed=changed)
    return registry


NOTHING = decisions()


def test_before_the_first_run_nothing_is_claimed() -> None:
    registry = shown()

    assert registry.get_sample_value("mlo_withheld_limits", {"reason": "no_data"}) is None
    assert registry.get_sample_value("mlo_tenants_flapping") is None


def test_changes_are_counted_over_the_runs_and_reasons_are_of_the_newest() -> None:
    first = decisions(("a", RATE, "raise", "above_dead_band"), ("b", RATE, "withheld", "no_data"))
    second = decisions(("a", RATE, "raise", "above_dead_band"), ("b", RATE, "withheld", "stale"))

    registry = shown(
        *((standings_of(), each, each.filter(outcome="raise")) for each in (first, second))
    )

    raised = {"limit": RATE, "direction": "raise"}
    assert registry.get_sample_value("mlo_limit_changes_total", raised) == 2
    assert registry.get_sample_value("mlo_withheld_limits", {"reason": "stale"}) == 1
    assert registry.get_sample_value("mlo_withheld_limits", {"reason": "no_data"}) is None


def test_a_tenant_that_flaps_counts_once() -> None:
    limits = [("a", RATE), ("a", SERIES), ("b", RATE)]
    flapping = decisions(*((*limit, "withheld", "flapping") for limit in limits))

    registry = shown((standings_of(), flapping, NOTHING))

    assert registry.get_sample_value("mlo_tenants_flapping") == 2


def test_the_error_says_how_far_the_recent_peak_is_from_the_limit() -> None:
    """Half used is an error of -0.5, a tenth too much one of 0.1; unknown is none."""
    stood = standings_of(
        standing("a", utilisation=0.5),
        standing("b", utilisation=1.1),
        standing("c", utilisation=None),
    )

    registry = shown((stood, NOTHING, NOTHING), (stood, NOTHING, NOTHING))

    def up_to(bound: str) -> float | None:
        return registry.get_sample_value(
            "mlo_limit_error_ratio_bucket", {"limit": RATE, "le": bound}
        )

    assert [up_to(bound) for bound in ("-0.6", "-0.5", "0.0", "0.5", "+Inf")] == [0, 2, 2, 4, 4]


def test_the_confidence_is_the_mean_of_those_that_are_estimated() -> None:
    stood = standings_of(
        standing("a", confidence=0.5), standing("b", confidence=1.0), standing("c", confidence=None)
    )

    registry = shown((stood, NOTHING, NOTHING))

    assert registry.get_sample_value("mlo_confidence_ratio", {"limit": RATE}) == 0.75
