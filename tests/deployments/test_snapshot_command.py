"""`mlo snapshot` and `mlo restore`, as they are typed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deployments.cli import app
from storage.client import query
from storage.database import Database
from storage.serve import serving

NOW = datetime.now(UTC)  # the commands look at the clock
HISTORY = "data/history.duckdb"
ADD = "insert into tenants (tenant, first_seen, last_seen) values (?, now(), now())"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("MLO_CONFIG", "MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOGNAME", "anna")
    with Database.open(HISTORY, clock=lambda: NOW) as database:
        database.cursor().execute(ADD, ["t1"])
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def tenants() -> list[str]:
    return query(HISTORY, "select tenant from tenants order by all")["tenant"].to_list()


def test_a_copy_beside_a_running_process_is_restored_once_it_has_ended(folder: Path) -> None:
    with Database.open(HISTORY, clock=lambda: NOW) as database, serving(database):
        taken = run("snapshot", "--output", "copy.duckdb")
        database.cursor().execute(ADD, ["t2"])
        refused = run("restore", "copy.duckdb")
        then = tenants()

    done = run("restore", "copy.duckdb", "--reason", "a test")

    assert taken.exit_code == done.exit_code == 0, taken.output + done.output
    assert taken.stderr.startswith(f"{folder / 'copy.duckdb'} has the history of now (")
    assert refused.exit_code == 1
    assert "is in use by process" in refused.stderr
    assert then == ["t1", "t2"]
    assert tenants() == ["t1"]
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"{folder / HISTORY} is restored: no sample, 0 revisions, ")
    assert lines[1].startswith(f"the history before is kept: {folder}/data/history.before-restore-")
    assert len(lines) == 2
    entry = query(HISTORY, "select actor, action, details->>'reason' from audit").rows()
    assert entry == [("anna", "restore", "a test")]


def test_without_a_name_the_snapshot_beside_the_history_is_replaced(folder: Path) -> None:
    result = run("snapshot")

    assert result.exit_code == 0, result.output
    assert (folder / "data" / "history.ro.duckdb").is_file()


@pytest.mark.parametrize("command", [("snapshot", "--output", HISTORY), ("restore", "no.duckdb")])
def test_what_cannot_be_done_is_one_line(command: tuple[str, ...]) -> None:
    result = run(*command)

    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
    assert tenants() == ["t1"]


def test_a_restore_that_is_not_to_be_audited_is_not(folder: Path) -> None:
    (folder / "config.yaml").write_text("auditLog: {enabled: false}\n")
    run("snapshot")

    result = run("restore", "data/history.ro.duckdb")

    assert result.exit_code == 0, result.output
    assert query(HISTORY, "from audit").is_empty()
