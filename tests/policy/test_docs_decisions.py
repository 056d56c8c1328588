"""docs/limits-and-decisions.md tells what is done: its example is run, its lists are compared."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from policy.detection import detect
from policy.evidence import Evidence
from policy.explain import decision_lines, explain, lines
from policy.figures import TIMES
from policy.frames import DECISIONS, LIMITS, SAMPLES
from policy.gates import WITHHELD
from policy.movement import CAPACITY_SHORT, RUN_BUDGET
from policy.recommend import recommend
from policy.rules import Rules
from policy.settings import Settings
from policy.signals import INGESTION_RATE, SAMPLES_ASKED
from policy.stack import STACK
from policy.thresholds import from_limits, sensitivity
from policy.tuned import rules_of
from policy.usual import USUAL
from tests.policy.estimated import NOON, estimated, estimates

PAGE = (Path(__file__).parents[2] / "docs" / "limits-and-decisions.md").read_text(encoding="utf-8")
CASES = re.findall(
    r"^\| (\w+) \| (\w+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$",
    PAGE,
    flags=re.MULTILINE,
)
TEXTS = re.findall(r"^```text\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def decisions_of_the_page() -> pl.DataFrame:
    """DECISIONS on the cases of the example, under the default settings."""
    settings = Settings()
    cases = [(*case[:2], *map(float, case[2:])) for case in CASES]
    names = {limit for _, limit, *_ in cases}
    rules = rules_of(
        settings,
        members=pl.DataFrame(schema={"tenant": pl.String(), "tier": pl.String()}),
        limits=names,
    )
    full_days = 14
    rows = [
        estimated(
            demand,
            tenant=tenant,
            limit=limit,
            days=max(1, int(days)),
            hours=int(days * 24),
            points=int(days * 24 * 12),
            confidence=min(days, full_days) / full_days,
            widening=1 + (1 - min(days, full_days) / full_days) ** 2,
            coverage=coverage,
            pressure=refused,
            pressed_days_ago=0 if refused else None,
        )
        for tenant, limit, _, demand, days, coverage, refused in cases
    ]
    current = pl.DataFrame([case[:3] for case in cases], schema=LIMITS, orient="row")
    evidence = Evidence(
        estimates=estimates(*rows),
        current=current,
        coverage=1.0,
        in_blast=["storm"],
        leanings=current.select("tenant", "limit", runs=pl.lit(2, dtype=pl.Int64)),
    )
    decided = recommend(evidence, rules=rules, now=NOON).decisions
    return (
        current.join(decided, on=["tenant", "limit"], maintain_order="left")
        .select(DECISIONS.names())
        .sort("tenant", "limit")
    )


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

    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", section, flags=re.MULTILINE)
    named = tuple(name for row in rows for name in re.findall(r"`(\w+)`", row))
    assert named == (*WITHHELD, CAPACITY_SHORT, RUN_BUDGET)


def test_the_numbers_of_the_page_are_those_of_the_rules() -> None:
    rules = Rules(buffer_percentage=0)

    assert f"target > current {TIMES} {1 + rules.raise_band:g}" in PAGE
    assert f"target < current {TIMES} {1 - rules.lower_band:g}" in PAGE
    assert f"at most {rules.max_lower_step:.0%}".replace("%", " %") in PAGE
    assert f"at most {rules.max_raise_step:.0%} above".replace("%", " %") in PAGE
    assert f"within {rules.lower_cooldown.total_seconds() / 3600:g} h" in PAGE
    assert f"floor            {rules.floor_factor:g} {TIMES} the highest peak of 8 days" in PAGE
    assert f"demand {TIMES} {rules.refused_series_factor:g} first" in PAGE
    assert f"{rules.burst_factor:g} {TIMES} the rate" in PAGE
    assert f"{rules.request_factor:g} {TIMES} the mean request" in PAGE
    assert f"one run changes {rules.max_changes} limits" in PAGE
    assert f"older than {rules.stale_after.total_seconds() / 60:g} minutes" in PAGE


def test_the_blast_of_the_example_is_one_in_these_words() -> None:
    asked = pl.DataFrame(
        [(NOON, "storm", SAMPLES_ASKED, 20_137.0, 1.0)], schema=SAMPLES, orient="row"
    )
    limits = pl.DataFrame([("storm", INGESTION_RATE, 10_000.0)], schema=LIMITS, orient="row")
    normal = {"tenant": "storm", "signal": SAMPLES_ASKED, "points": 0, "recent": 1_500.0}

    found = detect(
        asked,
        usual=pl.DataFrame([normal | {"peak": 1_600.0}], schema=USUAL),
        thresholds=from_limits(limits, settings=Settings()),
        limits=limits,
        sensitivity=sensitivity(Settings()),
    )

    assert found["because"].item() + "\n" in TEXTS
    assert found["sure"].item()
