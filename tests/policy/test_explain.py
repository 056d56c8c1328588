"""The lines that say why a limit is what it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.explain import decision_lines, explain, lines
from policy.figures import figure, grouped
from policy.frames import DECISIONS, LAYERS, LIMITS
from policy.layers import Bounds
from policy.stack import stack

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RATE = "ingestion_rate"


def decision(**told: object) -> dict:
    return {
        "at": NOON,
        "tenant": "steady-1",
        "limit": RATE,
        "outcome": "raise",
        "reason": "above_dead_band",
        "detail": "peak 10,310/s, rounded",
        "before": 10_000,
        "after": 13_000,
        "steps": json.dumps(
            [{"name": "peak", "before": None, "after": 10_310, "because": "the most in 47 h"}]
        ),
    } | told


def decisions(*rows: dict) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=DECISIONS)


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({}, "steady-1  ingestion_rate  10,000 → 13,000  +30 %  peak 10,310/s, rounded"),
        (
            {"outcome": "lower", "after": 9_000},
            "steady-1  ingestion_rate  10,000 → 9,000  -10 %  peak 10,310/s, rounded",
        ),
        (
            {"outcome": "hold", "after": 10_000, "detail": "near enough"},
            "steady-1  ingestion_rate  10,000 hold  near enough",
        ),
        (
            {"outcome": "withheld", "before": None, "after": None, "detail": "not known"},
            "steady-1  ingestion_rate  unknown withheld  not known",
        ),
    ],
    ids=["raise", "lower", "hold", "withheld"],
)
def test_a_decision_is_one_line(told: dict, line: str) -> None:
    assert decision_lines(decisions(decision(**told))) == [line]


def test_the_explanation_tells_the_stack_and_the_newest_decision() -> None:
    layer = {
        "tenant": "steady-1",
        "limit": RATE,
        "layer": "optimized",
        "kind": "set",
        "value": 13_000,
        "reason": "peak 10,310/s, rounded",
        "evidence": "[]",
        "written_at": NOON,
        "expires_at": NOON + timedelta(hours=1),
    }
    told = stack(
        "steady-1",
        layers=pl.DataFrame([layer], schema=LAYERS),
        beneath=pl.DataFrame([("steady-1", RATE, 10_000)], schema=LIMITS, orient="row"),
        bounds=Bounds(),
        now=NOON,
    )
    older = decision(at=NOON - timedelta(hours=1), detail="an older word")

    explanation = explain("steady-1", stack=told, decisions=decisions(decision(), older))

    (story,) = explanation.stories
    assert [voice.layer for voice in story.voices] == ["defaults", "optimized"]
    assert story.voices[1].cells() == (
        "*",
        "optimized",
        "set 13,000",
        "13,000",
        "peak 10,310/s, rounded (until 2026-03-01 13:00 UTC)",
    )
    text = "\n".join(lines(explanation))
    assert "peak: 10,310, the most in 47 h" in text
    assert "10,000 → 13,000" in text
    assert "an older word" not in text


def test_a_tenant_of_whom_nothing_is_known_is_told_so() -> None:
    nothing = stack(
        "ghost",
        layers=pl.DataFrame(schema=LAYERS),
        beneath=pl.DataFrame(schema=LIMITS),
        bounds=Bounds(),
        now=NOON,
    )

    explanation = explain("ghost", stack=nothing, decisions=decisions(decision()))

    assert lines(explanation) == ["ghost: no layer, limit or decision is known of this tenant"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (0.0, "0"),
        (0.25, "0.25"),
        (99.999, "100"),
        (999.6, "1,000"),
        (10_310.4, "10,310"),
        (1_000_005.0, "1,000,005"),
        (-1_234.0, "-1,234"),
    ],
)
def test_a_figure_is_readable(value: float | None, text: str) -> None:
    assert figure(value) == text


@given(st.floats(min_value=-1e15, max_value=1e15))
def test_a_figure_alone_reads_as_it_does_in_a_column(value: float) -> None:
    column = pl.select(grouped(pl.lit(value, dtype=pl.Float64))).item()

    assert figure(value) == column
