"""docs/limits-and-decisions.md tells what is done: its example is run, its lists are compared."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from policy.breaker import blasting
from policy.explain import decision_lines, explain, lines
from policy.figures import TIMES
from policy.frames import HISTORY, LIMITS, SAMPLES
from policy.gates import WITHHELD
from policy.recommend import recommend
from policy.rules import Rules
from policy.settings import Settings
from policy.signals import INGESTION_RATE, SAMPLES_ASKED
from policy.stack import STACK

PAGE = (Path(__file__).parents[2] / "docs" / "limits-and-decisions.md").read_text(encoding="utf-8")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
CASES = re.findall(
    r"^\| (\w+) \| (\w+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$",
    PAGE,
    flags=re.MULTILINE,
)
TEXTS = re.findall(r"^```text\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def decisions_of_the_page() -> pl.DataFrame:
    """DECISIONS on the cases of the example, under the default settings."""
    settings = Settings()
    rules = Rules(
        buffer_percentage=settings.buffer_percentage,
        min_limits=settings.limits.min_limits,
        min_history=settings.trend_analysis.min_history,
    )
    cases = pl.DataFrame(
        [(*case[:2], *map(float, case[2:])) for case in CASES],
        schema=["tenant", "limit", "value", "peak", "hours", "coverage", "pressure"],
        orient="row",
    )
    measured = cases.with_columns(
        recent="peak",
        points=(pl.col("hours") * 12).cast(pl.Int64),
        last_at=pl.lit(NOON).cast(HISTORY["last_at"]),
    )
    decided = recommend(
        measured.select(HISTORY.names()).cast(HISTORY),
        current=cases.select(LIMITS.names()),
        in_blast=["storm"],
        coverage=1.0,
        rules=rules,
        now=NOON,
    )
    return decided.join(cases, on=["tenant", "limit"], how="semi", maintain_order="left")


def test_the_decisions_of_the_example_are_those_that_are_taken() -> None:
    assert "\n".join(decision_lines(decisions_of_the_page())) + "\n" in TEXTS


def test_the_steps_of_the_example_are_those_of_the_decision() -> None:
    told = lines(
        explain(
            "shop",
            stack=pl.DataFrame(schema=STACK),
            decisions=decisions_of_the_page().filter(limit=INGESTION_RATE),
        )
    )

    assert "\n".join(line.strip() for line in told[3:]) + "\n" in TEXTS


def test_the_example_shows_every_outcome() -> None:
    assert set(decisions_of_the_page()["outcome"]) == {"raise", "lower", "hold", "withheld"}


def test_every_reason_to_withhold_is_listed_in_the_order_in_which_it_applies() -> None:
    section = PAGE.partition("## Why a decision was withheld")[2].partition("\n## ")[0]

    assert tuple(re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)) == WITHHELD


def test_the_numbers_that_are_no_settings_are_those_of_the_rules() -> None:
    rules = Rules(buffer_percentage=0)

    assert f"target > current {TIMES} {1 + rules.raise_band:g}" in PAGE
    assert f"target < current {TIMES} {1 - rules.lower_band:g}" in PAGE
    assert f"at most {rules.max_lower_step:.0%}".replace("%", " %") in PAGE
    assert f"within {rules.lower_cooldown.total_seconds() / 3600:g} h" in PAGE
    assert f"floor            {rules.floor_factor:g} {TIMES} peak" in PAGE
    assert f"peak {TIMES} {rules.refused_series_factor:g} first" in PAGE
    assert f"{rules.burst_factor:g} {TIMES} the rate" in PAGE
    assert f"older than {rules.stale_after.total_seconds() / 60:g} minutes" in PAGE


def test_the_blast_of_the_example_is_one_in_these_words() -> None:
    demand = pl.DataFrame(
        [(NOON, "storm", SAMPLES_ASKED, 15_137.0, 1.0)], schema=SAMPLES, orient="row"
    )
    breaker = Settings().circuit_breaker

    found = blasting(
        demand,
        baseline=pl.DataFrame({"tenant": ["storm"], "baseline": [1_500.0]}),
        current=pl.DataFrame([("storm", INGESTION_RATE, 10_000.0)], schema=LIMITS, orient="row"),
        multiplier=breaker.auto_config.limit_multipliers.ingestion_rate_multiplier,
        absolute_threshold=breaker.blast_protection.ingestion_spike_threshold,
    )

    assert found["threshold"].to_list() == [15_000]
    assert found["because"].item() + "\n" in TEXTS
