"""`mlo withdraw`, as it is typed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from deployments.cli import app
from policy.document import parse, render
from policy.frames import LAYERS, LIMITS
from storage.client import query
from storage.database import Database
from storage.layers import replace_layer
from storage.serve import serving

NOW = datetime.now(UTC)  # the commands look at the clock
HISTORY = "data/history.duckdb"
RATE = "ingestion_rate"
CONFIG = """
mode: prod
mimir: {endpoints: ["http://127.0.0.1:9"]}
publish: {file: {path: overrides.yaml}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A history that wants one limit, and a document that says it."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLO_CONFIG", "MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOGNAME", "anna")
    (tmp_path / "config.yaml").write_text(CONFIG)
    said = pl.DataFrame([("acme", RATE, 5_000.0)], schema=LIMITS, orient="row")
    (tmp_path / "overrides.yaml").write_bytes(render(said))
    row = ("acme", RATE, "optimized", "set", 5_000.0, "as decided", "{}", NOW, None)
    with Database.open(HISTORY, clock=lambda: NOW) as database:
        words = pl.DataFrame([row], schema=LAYERS, orient="row")
        replace_layer(database, "optimized", words, run_id="1")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def order(*arguments: str) -> Result:
    return run("withdraw", "--reason", "uninstalled", *arguments)


def stands() -> int:
    return parse(Path("overrides.yaml").read_bytes()).height


def test_without_a_process_the_document_is_empty_afterwards_until_resumed() -> None:
    result = order()
    again = run("diff")
    resumed = run("resume")
    then = run("diff")

    assert result.exit_code == 0, result.output
    assert "anna withdrew every limit of ours: uninstalled" in result.stdout
    assert "is written without any limit of ours: 1 are gone" in result.stderr
    assert stands() == 0
    assert "nothing is pending" in again.stderr
    assert resumed.exit_code == 0, resumed.output
    assert then.exit_code == 3, "what was decided is pending again"


def test_a_running_process_is_left_to_do_it() -> None:
    with Database.open(HISTORY, clock=lambda: NOW) as database, serving(database):
        result = order()
        pending = run("diff", "-o", "json")

    assert result.exit_code == 0, result.output
    assert "none is published until `mlo resume`" in result.stderr
    assert stands() == 1
    assert pending.exit_code == 3
    assert "anna withdrew every limit of ours: uninstalled" in pending.stdout
    entries = query(HISTORY, "select actor, action, details->>'reason' from audit").rows()
    assert entries == [("anna", "withdraw", "uninstalled")]


def test_who_waits_for_a_process_that_does_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.commands.withdraw.LOOK_SECONDS", 0.2)
    with Database.open(HISTORY, clock=lambda: NOW) as database, serving(database):
        result = order("--wait", "1s")

    assert result.exit_code == 1
    assert "`mlo history` tells when it has" in result.stderr


def test_a_preview_changes_nothing() -> None:
    result = order("--preview")

    assert result.exit_code == 0, result.output
    assert "acme" in result.stdout
    assert stands() == 1
    assert query(HISTORY, "from withdrawals").is_empty()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (CONFIG.replace("prod", "dry-run"), "the mode is dry-run"),
        (CONFIG.replace("{file", "{paused: true, file"), "publish.paused is true"),
    ],
)
def test_where_nothing_can_be_written_nothing_is_ordered(config: str, words: str) -> None:
    Path("config.yaml").write_text(config)

    result = order()

    assert result.exit_code == 1
    assert words in result.stderr
    assert query(HISTORY, "from withdrawals").is_empty()


def test_a_length_that_is_none_is_refused_before_anything_is_ordered() -> None:
    result = order("--wait", "soon")

    assert result.exit_code == 1
    assert "--wait" in result.stderr
    assert query(HISTORY, "from withdrawals").is_empty()
