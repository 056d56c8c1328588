"""How a limit stands: how bad, too high or too low, why, in which order, and the whole's grade."""

from __future__ import annotations

import polars as pl
import pytest

from policy.estimate import RISKS
from policy.frames import LIMITS
from policy.grade import grade
from policy.rules import Rules
from policy.standing_words import why
from policy.standings import STANDINGS, TARGETS, by_risk, standings
from tests.policy.estimated import NOON, estimated, estimates
from tests.policy.stood import standing, standings_of

RATE = "ingestion_rate"
RULES = Rules(buffer_percentage=25, limits=(RATE,))


def stands(
    *,
    value: float | None = 10_000.0,
    recommended: float | None = 10_000.0,
    ample: float | None = 9_000.0,
    hit_probability: float | None = 0.01,
    utilisation: float | None = 0.5,
    hit_days: int | None = 0,
    **known: object,
) -> dict[str, object]:
    """How one limit stands, and why."""
    limits = [] if value is None else [("a", RATE, value)]
    found = standings(
        pl.DataFrame([("a", RATE, recommended, None, ample)], schema=TARGETS, orient="row"),
        estimates=estimates(estimated(5_000.0, **known)),
        risks=pl.DataFrame(
            [("a", RATE, hit_probability, utilisation, hit_days)], schema=RISKS, orient="row"
        ),
        limits=pl.DataFrame(limits, schema=LIMITS, orient="row"),
        rules=RULES,
        now=NOON,
    )
    assert found.schema == STANDINGS
    return found.with_columns(why=why()).row(0, named=True)


@pytest.mark.parametrize(
    ("told", "severity", "because"),
    [
        pytest.param({}, "ok", "", id="nothing speaks against it"),
        pytest.param({"pressed_days_ago": 0}, "critical", "refused today"),
        pytest.param({"pressed_days_ago": 1}, "critical", "refused yesterday"),
        pytest.param({"pressed_days_ago": 2}, "ok", ""),
        pytest.param(
            {"hit_probability": 0.06, "hit_days": 1}, "critical", "too low for 1 day of the past"
        ),
        pytest.param(
            {"hit_probability": 0.2, "hit_days": 3}, "critical", "too low for 3 days of the past"
        ),
        pytest.param({"hit_probability": 0.12, "hit_days": 0}, "ok", "", id="only young"),
        pytest.param({"utilisation": 0.81}, "warning", "nearly full"),
        pytest.param({"utilisation": 0.8}, "ok", ""),
        pytest.param(
            {"recommended": 1_990.0, "ample": 2_000.0},
            "warning",
            "5 \N{MULTIPLICATION SIGN} what is recommended",
        ),
        pytest.param({"recommended": 2_000.0, "ample": 2_500.0}, "ok", "less would do"),
        pytest.param({"value": None}, "unknown", "the limit in force is not known"),
        pytest.param({"value": 0.0}, "unknown", "0, which somebody set: unlimited, or blocked"),
        pytest.param(
            {"utilisation": None, "hit_probability": None, "hit_days": None},
            "unknown",
            "no demand measured lately",
        ),
    ],
)
def test_a_limit_is_as_bad_as_the_worst_that_speaks_against_it(
    told: dict[str, object], severity: str, because: str
) -> None:
    found = stands(**told)  # type: ignore[arg-type]

    assert (found["severity"], found["why"]) == (severity, because)


@pytest.mark.parametrize(
    ("recommended", "ample", "provision"),
    [
        pytest.param(10_300, 9_000, "fits", id="within the dead band above"),
        pytest.param(10_301, 9_000, "under"),
        pytest.param(8_500, 8_000, "fits", id="within the dead band below"),
        pytest.param(8_499, 8_000, "over"),
        pytest.param(8_499, 10_000, "fits", id="the demand may still turn out to be so high"),
        pytest.param(None, 8_000, None, id="nothing can be recommended"),
    ],
)
def test_a_limit_is_over_or_under_what_is_recommended(
    recommended: float | None, ample: float, provision: str | None
) -> None:
    assert stands(recommended=recommended, ample=ample)["provision"] == provision


def test_the_refused_come_first_then_the_likely_then_the_full() -> None:
    found = by_risk(
        standings_of(
            standing("calm"),
            standing("unknown", utilisation=None, hit_probability=None),
            standing("full", utilisation=0.9),
            standing("likely", hit_probability=0.4),
            standing("refused", pressed_days_ago=0),
            standing("blocked", value=0.0, hit_probability=None, pressed_days_ago=0),
        )
    )

    assert found["tenant"].to_list()[:4] == ["refused", "likely", "full", "calm"]


@pytest.mark.parametrize(
    ("severities", "score", "letter"),
    [
        pytest.param(["ok"], 1.0, "A"),
        pytest.param(["ok"] * 9 + ["critical"], 0.9, "A"),
        pytest.param(["ok"] * 8 + ["critical"] * 2, 0.8, "B"),
        pytest.param(["ok", "warning"], 0.65, "C"),
        pytest.param(["warning"], 0.3, "D"),
        pytest.param(["critical"], 0.0, "F"),
        pytest.param(["ok", "unknown", "unknown"], 1.0, "A", id="who is unknown does not count"),
        pytest.param(["unknown"], None, None, id="nobody can be judged"),
        pytest.param([], None, None, id="nobody is there"),
    ],
)
def test_the_grade_falls_by_one_for_a_critical_tenant_and_by_seven_tenths_for_a_warning(
    severities: list[str], score: float | None, letter: str | None
) -> None:
    rows = [standing(f"t{n}", severity=severity) for n, severity in enumerate(severities)]

    found = grade(standings_of(*rows))

    assert found.score == (None if score is None else pytest.approx(score))
    assert found.letter == letter


def test_a_tenant_counts_once_by_its_worst_limit() -> None:
    found = grade(
        standings_of(
            standing("a", RATE, severity="ok"),
            standing("a", "max_global_series_per_user", severity="critical"),
            standing("b", RATE, severity="unknown"),
            standing("b", "max_global_series_per_user", severity="ok"),
        )
    )

    assert found.tenants == {"critical": 1, "warning": 0, "ok": 1, "unknown": 0}
