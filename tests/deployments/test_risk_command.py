"""`mlo risk`, as it is typed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner, Result

from deployments.cli import app
from policy.frames import LIMITS
from storage.database import Database
from storage.limits import observe_limits
from storage.origin import claim
from storage.standings import replace_standings
from tests.policy.stood import standing, standings_of

NOW = datetime.now(UTC)  # the commands look at the clock
RATE, BURST, SERIES = "ingestion_rate", "ingestion_burst_size", "max_global_series_per_user"
OWN = [("", RATE, 10_000.0), ("", BURST, 200_000.0), ("", SERIES, 150_000.0)]
STOOD = (
    standing("team-a", RATE, proposed=13_000.0, recommended=13_000.0, utilisation=1.01)
    | {"hit_probability": 0.12, "hit_days": 1, "severity": "critical", "provision": "under"},
    standing("team-b", RATE, recommended=1_000.0, proposed=9_000.0, utilisation=0.08)
    | {"severity": "warning", "provision": "over"},
    standing("team-b", SERIES, value=150_000.0, recommended=50_000.0, provision="over"),
    standing("lone", RATE),
)


def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *rows: dict[str, object]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)
    monkeypatch.delenv("MODE", raising=False)
    with Database.open("data/history.duckdb", clock=lambda: NOW) as database:
        claim(database, simulated=False, at=NOW)
        observe_limits(database, pl.DataFrame(OWN, schema=LIMITS, orient="row"), at=NOW)
        replace_standings(database, standings_of(*rows))


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(tmp_path, monkeypatch, *STOOD)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["risk", *arguments])


def listed(*arguments: str) -> list[tuple[str, str]]:
    result = run(*arguments, "-o", "json")
    assert result.exit_code == 0, result.output
    return [(row["tenant"], row["limit"]) for row in json.loads(result.stdout)]


pytestmark = pytest.mark.usefixtures("history")


def test_the_most_at_risk_comes_first_with_the_reason_and_the_grade() -> None:
    result = run()

    lines = result.stdout.splitlines()
    assert lines[1].split()[:2] == ["team-a", RATE]
    assert "critical: too low for 1 day of the past; nearly full; more is recommended" in lines[1]
    assert "101 %" in lines[1]
    assert "12 %" in lines[1]
    assert result.stderr.startswith("grade D (43 %) at ")
    assert result.stderr.rstrip().endswith("of 3 tenants 1 critical, 1 warning, 1 ok, 0 unknown")


def test_what_is_asked_for_is_what_is_listed() -> None:
    assert listed("--tenant", "team-*", "--limit", RATE) == [("team-a", RATE), ("team-b", RATE)]
    assert listed("--under") == [("team-a", RATE)]
    assert listed("--top", "1") == [("team-a", RATE)]


def test_of_what_is_too_high_the_farthest_comes_first() -> None:
    assert listed("--over") == [("team-b", RATE), ("team-b", SERIES)]


def test_the_snippet_is_what_an_operator_would_write() -> None:
    result = run("--snippet")

    assert result.exit_code == 0, result.output
    assert YAML(typ="safe").load(result.stdout) == {
        "overrides": {"team-a": {RATE: 13_000}, "team-b": {RATE: 9_000}}
    }
    assert '"team-a":' in result.stdout


def test_a_snippet_of_what_is_in_force_is_empty_and_says_so() -> None:
    result = run("--snippet", "--tenant", "lone")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing is recommended that is not in force" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--over", "--under"), "exclude each other"),
        (("--limit", "ingestion_rat"), "did you mean ingestion_rate?"),
        (("--tenant", "nobody-*"), "no tenant matches 'nobody-*'"),
        (("--top", "0"), "--top"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_way_out(
    arguments: tuple[str, ...], problem: str
) -> None:
    result = run(*arguments)

    assert result.exit_code != 0
    assert problem in result.stderr


def test_before_the_first_run_it_says_what_to_do(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(tmp_path_factory.mktemp("new"), monkeypatch)

    result = run()

    assert result.exit_code == 0
    assert "nothing was judged yet; `mlo up` does at its start" in result.stderr
