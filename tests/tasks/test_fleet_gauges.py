"""Metrics of tenants: few of them, whatever there are."""

from __future__ import annotations

import polars as pl
from prometheus_client import CollectorRegistry

from policy.detection import DETECTED
from policy.standings import STANDINGS
from tasks.fleet_gauges import FleetGauges


def shown(gauges: FleetGauges, name: str) -> dict[str, float]:
    """The values of a metric, by tenant."""
    return {
        sample.labels.get("tenant", ""): sample.value
        for family in gauges.collect()
        if family.name == f"x_{name}"
        for sample in family.samples
    }


def standings(probabilities: dict[str, float | None]) -> pl.DataFrame:
    rows = [
        {
            "tenant": tenant,
            "limit": "ingestion_rate",
            "value": 10.0,
            "recommended": float("nan") if tenant == "b" else 20.0,
            "hit_probability": probability,
        }
        for tenant, probability in probabilities.items()
    ]
    return pl.DataFrame(rows, schema=STANDINGS)


def test_the_tenants_that_are_likeliest_to_hit_a_limit_are_labels_and_the_rest_is_counted() -> None:
    gauges = FleetGauges(prefix="x")
    gauges.show_limits(standings({"a": 0.1, "b": 0.9, "c": None, "d": 0.5}), most=2)

    assert shown(gauges, "tenant_current_limits") == {"b": 10.0, "d": 10.0}
    # What is no number has no series.
    assert shown(gauges, "tenant_recommended_limits") == {"d": 20.0}
    assert shown(gauges, "tenants_not_shown") == {"": 2.0}


def test_tenants_may_be_left_out_of_metrics_altogether() -> None:
    gauges = FleetGauges(prefix="x")
    gauges.show_limits(standings({"a": 0.1}), most=0)

    assert shown(gauges, "tenant_current_limits") == {}
    assert shown(gauges, "tenants_not_shown") == {"": 1.0}


def test_who_blasts_is_told_by_what_it_is_most_above_its_usual() -> None:
    rows = [
        {"tenant": "a", "kind": "ingestion", "value": 100.0, "usual": 10.0},
        {"tenant": "a", "kind": "series", "value": 100.0, "usual": 5.0},
        {"tenant": "b", "kind": "series", "value": 100.0, "usual": 0.0},
    ]
    gauges = FleetGauges(prefix="x")
    gauges.show_spikes(pl.DataFrame(rows, schema=DETECTED), most=5)

    assert shown(gauges, "spike_multiplier") == {"a": 20.0}
    registry = CollectorRegistry()
    registry.register(gauges)
    assert registry.get_sample_value("x_spike_multiplier", {"tenant": "a"}) == 20.0
