"""A blast is told from growth, and a blasting tenant is held where it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from policy.breaker import BLASTS, blasting, breaker_layer, suspects
from policy.frames import LAYERS, LIMITS, SAMPLES
from policy.layers import Bounds, compose

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=10)
RATE, BURST, SERIES = "ingestion_rate", "ingestion_burst_size", "max_global_series_per_user"
ASKED = "samples_asked_per_second"
HELD = {
    "limits": (RATE, BURST, SERIES),
    "endless": {SERIES},
    "written_at": NOON,
    "expires_at": LATER,
}


def demand(*values: float | None, tenant: str = "a", signal: str = ASKED) -> pl.DataFrame:
    rows = [
        (NOON + timedelta(seconds=15 * order), tenant, signal, value, 1.0)
        for order, value in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=SAMPLES, orient="row")


def usual(value: float | None) -> pl.DataFrame:
    rows = [] if value is None else [("a", value)]
    return pl.DataFrame(rows, schema={"tenant": pl.String, "baseline": pl.Float64}, orient="row")


def limits(*rows: tuple[str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=LIMITS, orient="row")


def blasts(
    *values: float | None, baseline: float | None = 1_000, absolute: float | None = None
) -> pl.DataFrame:
    return blasting(
        demand(*values),
        baseline=usual(baseline),
        current=limits(("a", RATE, 2_000)),
        multiplier=5,
        absolute_threshold=absolute,
    )


def test_a_demand_far_over_limit_and_usual_is_a_blast() -> None:
    found = blasts(10_001)

    assert found.schema == BLASTS
    assert found.select("tenant", "value", "threshold").rows() == [("a", 10_001, 10_000)]


def test_growth_over_the_limit_alone_is_no_blast() -> None:
    """10,001/s is over five times the limit, but only twice what the tenant usually sends."""
    assert blasts(10_001, baseline=5_000).is_empty()


def test_the_absolute_threshold_needs_the_unusual_too() -> None:
    assert blasts(6_000, absolute=5_000).height == 1
    assert blasts(6_000, absolute=5_000, baseline=4_000).is_empty()


def test_without_a_baseline_only_the_absolute_threshold_is_believed() -> None:
    assert blasts(1e6, baseline=None).is_empty()
    assert blasts(60_000, baseline=None, absolute=50_000).height == 1
    assert blasts(40_000, baseline=None, absolute=50_000).is_empty()


def test_without_a_limit_only_the_absolute_threshold_is_believed() -> None:
    what = {"baseline": usual(10), "current": limits(), "multiplier": 5}

    assert blasting(demand(1e6), absolute_threshold=None, **what).is_empty()
    assert blasting(demand(1e6), absolute_threshold=5e5, **what).height == 1


def test_only_the_newest_measurement_counts() -> None:
    assert blasts(99_999, 10).is_empty()
    assert blasts(10, 99_999).height == 1


def test_what_was_not_measured_is_no_blast() -> None:
    assert blasts(None).is_empty()
    assert blasts(float("nan")).is_empty()


amounts = st.none() | st.floats(min_value=0, max_value=1e9)


@given(value=amounts, baseline=amounts, limit=amounts, absolute=amounts)
def test_whoever_is_not_suspected_does_not_blast(
    value: float | None, baseline: float | None, limit: float | None, absolute: float | None
) -> None:
    """
    The quick look that comes first must miss nobody, whatever the limits turn out to be.
    """
    latest, ordinary = demand(value), usual(baseline)
    told = {
        "baseline": ordinary,
        "current": limits() if limit is None else limits(("a", RATE, limit)),
        "multiplier": 1.5,
        "absolute_threshold": absolute,
    }

    suspected = suspects(latest, baseline=ordinary, absolute_threshold=absolute)

    assert blasting(suspected, **told).equals(blasting(latest, **told))


def test_the_sentence_names_the_numbers() -> None:
    assert blasts(12_000)["because"].item() == (
        "12,000/s asked for, 6 \N{MULTIPLICATION SIGN} its limit of 2,000/s, "
        "12 \N{MULTIPLICATION SIGN} its usual 1,000/s"
    )


def test_a_blasting_tenant_is_capped_where_it_is_until_the_cap_expires() -> None:
    current = limits(("a", RATE, 2_000), ("a", BURST, 9_000), ("a", SERIES, 0), ("b", RATE, 5))

    layer = breaker_layer(blasts(12_000), current=current, **HELD)

    assert layer.schema == LAYERS
    assert layer.select("tenant", "limit", "kind", "value", "expires_at").rows() == [
        ("a", BURST, "cap", 9_000, LATER),
        ("a", RATE, "cap", 2_000, LATER),
    ]
    assert json.loads(layer["evidence"][0]) == {"demand": 12_000, "threshold": 10_000}


def test_the_breaker_never_raises_and_stops_a_raise() -> None:
    cap = breaker_layer(blasts(12_000), current=limits(("a", RATE, 2_000)), **HELD)
    raised = cap.with_columns(layer=pl.lit("optimized"), kind=pl.lit("set"), value=pl.lit(8_000.0))
    what = {"beneath": limits(("a", RATE, 1_500)), "bounds": Bounds(), "now": NOON}

    alone = compose(cap, **what)
    over_a_raise = compose(pl.concat([cap, raised]), **what)

    assert alone.is_empty()
    assert over_a_raise.select("value", "decided_by").rows() == [(2_000, "breaker")]


def test_no_blast_gives_no_layer() -> None:
    layer = breaker_layer(blasts(1), current=limits(("a", RATE, 2_000)), **HELD)

    assert layer.is_empty()
    assert layer.schema == LAYERS


def test_connections_that_move_to_one_distributor_are_no_blast() -> None:
    """
    They raise the limit that the tenant needs, and not what it asks for.
    """
    moved = pl.concat([demand(2_000), demand(2_000 * 10, signal=RATE)])

    found = blasting(
        moved,
        baseline=usual(2_000),
        current=limits(("a", RATE, 2_400)),
        multiplier=1.5,
        absolute_threshold=10_000,
    )

    assert found.is_empty()
