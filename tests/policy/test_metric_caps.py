"""The cap on a single metric: where it is known which one grows, and never below the others."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from policy.breakers import BREAKERS
from policy.frames import LIMITS
from policy.layers import Bounds, compose
from policy.metric_caps import PER_METRIC, metric_caps
from policy.top_metrics import GROWING

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def caps(
    *,
    state: str = "open",
    series: int = 540_000,
    others: int = 20_000,
    known: tuple[str, ...] = (PER_METRIC,),
) -> pl.DataFrame:
    breakers = pl.DataFrame(
        [{"tenant": "acme", "state": state, "kinds": "series"}], schema=BREAKERS
    )
    growing = pl.DataFrame([("acme", "wild", series, others, 0.93)], schema=GROWING, orient="row")
    return metric_caps(breakers, growing=growing, known=known, written_at=NOW, expires_at=LATER)


@pytest.mark.parametrize(("state", "left"), [("open", 0.1), ("half_open", 0.5)])
def test_a_part_of_what_the_metric_has_is_left_more_in_the_trial(state: str, left: float) -> None:
    (cap,) = caps(state=state)["value"]

    assert cap == pytest.approx(540_000 * left, rel=0.05)
    assert cap >= 540_000 * left


def test_it_is_above_what_any_other_metric_has_and_a_margin() -> None:
    (cap,) = caps(others=300_000)["value"]

    assert cap >= 300_000 * 1.1


def test_the_reason_names_the_metric_and_how_many_series_it_has() -> None:
    (cap,) = caps().to_dicts()

    assert cap["reason"] == "breaker open: wild has 540,000 series and is 93 % of what came"
    assert json.loads(cap["evidence"])["metric"] == "wild"
    assert (cap["layer"], cap["kind"], cap["expires_at"]) == ("breaker", "cap", LATER)


@pytest.mark.parametrize("state", ["watch", "growth", "cooling"])
def test_a_breaker_that_is_not_tripped_caps_no_metric(state: str) -> None:
    assert caps(state=state).is_empty()


def test_a_mimir_that_does_not_know_the_limit_is_not_given_it() -> None:
    assert caps(known=("ingestion_rate",)).is_empty()


@pytest.mark.parametrize(
    ("own", "minimum", "published"),
    [(0.0, {}, 54_000), (30_000.0, {}, None), (0.0, {PER_METRIC: 100_000}, 100_000)],
    ids=["unlimited", "stricter already", "never below limits.minLimits"],
)
def test_what_is_published_is_never_above_the_operators_limit_nor_below_the_minimum(
    own: float, minimum: dict[str, float], published: float | None
) -> None:
    beneath = pl.DataFrame([("acme", PER_METRIC, own)], schema=LIMITS, orient="row")

    found = compose(caps(), beneath=beneath, bounds=Bounds(minimum=minimum), now=NOW)

    assert found["value"].to_list() == ([] if published is None else [published])
