"""`mlo history`, as it is typed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from deployments.cli import app
from policy.frames import CHANGES, COMPOSED, empty
from storage.database import Database
from storage.revisions import Intent, Outcome, begin_revision, finish_revision
from storage.tenants import seen

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RATE, SERIES = "ingestion_rate", "max_global_series_per_user"

Change = tuple[str, str, float | None, float | None, str | None, str | None]


def publish(database: Database, *changes: Change, outcome: Outcome, hours: int) -> None:
    at = NOON + timedelta(hours=hours)
    intent = Intent(
        run_id="r",
        actor="optimizer",
        sink="the file",
        document="overrides: {}\n",
        changes=pl.DataFrame(changes, schema=CHANGES, orient="row"),
        composed=empty(COMPOSED),
    )
    revision = begin_revision(database, intent, at=at)
    told = f"revision {revision} {outcome}: 6 pods said so"
    finish_revision(database, revision=revision, outcome=outcome, detail=told, evidence={}, at=at)


@pytest.fixture(autouse=True)
def _history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)
    with Database.open("data/history.duckdb", clock=lambda: NOON) as database:
        seen(database, ["acme", "beta", "quiet"], at=NOON)
        publish(database, outcome="confirmed", hours=0)
        publish(
            database,
            ("acme", RATE, 10_000.0, 13_000.0, "optimized", "peak and buffer"),
            ("beta", SERIES, None, 5_000.0, "tier", None),
            outcome="confirmed",
            hours=1,
        )
        publish(
            database,
            ("acme", RATE, 13_000.0, None, None, None),
            outcome="reverted",
            hours=2,
        )


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["history", *arguments])


def listed(*arguments: str) -> list[dict[str, object]]:
    result = run(*arguments, "-o", "json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, list)
    return found


def test_the_newest_comes_first_with_what_became_of_it() -> None:
    found = listed()

    assert [(row["revision"], row["outcome"], row["changed_limits"]) for row in found] == [
        (3, "reverted", 1),
        (2, "confirmed", 2),
        (1, "confirmed", 0),
    ]
    newest = run().stdout.splitlines()[1]
    assert newest.split()[:5] == ["3", "2026-11-23", "14:00:00", "optimizer", "reverted"]
    assert newest.endswith("1  6 pods said so")


def test_of_a_tenant_each_change_is_told_with_its_reason() -> None:
    found = listed("acme")

    told = [(row["revision"], row["before"], row["after"], row["reason"]) for row in found]
    assert told == [(3, 13_000.0, None, None), (2, 10_000.0, 13_000.0, "peak and buffer")]
    assert "as without us" in run("acme").stdout.splitlines()[1]


def test_of_a_revision_all_its_changes_are_told() -> None:
    assert [row["tenant"] for row in listed("--revision", "2")] == ["acme", "beta"]
    assert [row["tenant"] for row in listed("beta", "--revision", "2")] == ["beta"]


def test_no_more_are_told_than_asked_for() -> None:
    assert [row["revision"] for row in listed("--newest", "1")] == [3]
    assert [row["revision"] for row in listed("acme", "--newest", "1")] == [3]


def test_a_tenant_of_which_nothing_was_changed_has_no_history() -> None:
    result = run("quiet")

    assert result.exit_code == 0
    assert "no published revision changed anything of that" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("acm",), "did you mean acme?"),
        (("--revision", "9"), "there is no revision 9; the newest is 3"),
        (("--newest", "0"), "--newest"),
    ],
)
def test_what_is_not_there_is_refused_with_a_way_out(
    arguments: tuple[str, ...], problem: str
) -> None:
    result = run(*arguments)

    assert result.exit_code != 0
    assert problem in result.stderr
