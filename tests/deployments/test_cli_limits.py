"""`mlo limits`: every limit of the version that is asked for, and how the settings treat it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from deployments.cli import app
from policy.catalogue import CORTEX, known_in
from policy.catalogue import limits as built_in
from policy.settings import Settings
from policy.tuned import tuned

RATE = "ingestion_rate"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["limits", *arguments])


def rows(*arguments: str) -> dict[str, dict[str, object]]:
    result = run("-o", "json", *arguments)
    assert result.exit_code == 0, result.output
    return {row["limit"]: row for row in json.loads(result.stdout)}


def test_every_limit_is_listed_with_what_is_known_of_it() -> None:
    found = rows()

    assert list(found) == list(built_in())
    rate = built_in()[RATE]
    assert found[RATE]["default"] == rate.default
    assert found[RATE]["zero"] == rate.zero
    assert found[RATE]["reject"] == rate.reject
    assert found[RATE]["promql_classic"] == found[RATE]["promql_ingest_storage"]
    assert {name for name, row in found.items() if row["sized"]} == set(tuned(Settings().limits))


def test_a_default_that_is_no_number_stands_beside_as_json() -> None:
    found = rows()["max_query_lookback"]

    assert found["default"] is None
    assert json.loads(str(found["default_other"])) == built_in()["max_query_lookback"].default


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("3.0.4", "3.0.4"), ("v2.3.1", "2.3.1"), ("cortex", CORTEX), ("1.20.1", CORTEX)],
)
def test_of_a_version_only_what_it_knows_is_listed(asked: str, meant: str) -> None:
    assert set(rows("--mimir-version", asked)) == known_in(meant)


def test_a_version_that_cannot_be_read_is_refused_in_one_line() -> None:
    result = run("--mimir-version", "latest")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: the version 'latest' of Mimir cannot be read")


def test_a_class_and_what_is_observable_can_be_asked_for() -> None:
    guarded = rows("--class", "guarded")
    seen = rows("--class", "guarded", "--observable")

    assert {row["class"] for row in guarded.values()} == {"guarded"}
    assert {row["observable"] for row in seen.values()} == {"metric", "api"}
    assert set(seen) < set(guarded)


def test_what_the_settings_add_and_change_is_listed_so(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        """
        limits:
          disabled: [ingestion_rate]
          definitions:
            max_global_series_per_user: {signal: active_series}
            max_new_things:
              {type: int, unit: things, zero: "off", default: 7, since: "3.4", enabled: true,
               signal: active_series}
        """,
        encoding="utf-8",
    )

    found = rows()

    assert found[RATE]["sized"] is False
    assert found["max_global_series_per_user"]["signal"] == "active_series"
    assert found["max_new_things"]["sized"] is True
    assert found["max_new_things"]["versions"] == "Mimir 3.4+"


def test_a_person_reads_one_line_per_limit() -> None:
    head, *told = run("--class", "auto").stdout.splitlines()

    assert head.split() == ["limit", "class", "sized", "about"]
    (line,) = [line for line in told if line.startswith(f"{RATE} ")]
    assert "default 10,000" in line
    assert "demand measured" in line
    assert "refusals in discard:rate_limited" in line
    assert line.endswith("Mimir 2.3+, Cortex")


def test_what_cannot_be_seen_before_it_is_refused_is_said_to_be_so() -> None:
    told = run("--class", "guarded").stdout.splitlines()

    (line,) = [line for line in told if line.startswith("max_label_names_per_series ")]
    assert "demand not observable; refusals in discard:max_label_names_per_series" in line
