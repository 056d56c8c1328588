"""Asking the history from another process: served, or from the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from storage.client import TOKEN_VARIABLE, query, running_server
from storage.database import Database
from storage.errors import StorageError
from storage.serve import serving, serving_file

ROOT = Path(__file__).parents[2]


@pytest.fixture
def served(owned: Database) -> Iterator[Database]:
    with owned.transaction() as cursor:
        cursor.execute(
            "insert into tenants (tenant, first_seen, last_seen) values ('t1', now(), now())"
        )
    with serving(owned):
        yield owned


@pytest.fixture
def closed(path: Path, now: datetime) -> Path:
    with Database.open(str(path), clock=lambda: now) as database, database.transaction() as cursor:
        cursor.execute(
            "insert into tenants (tenant, first_seen, last_seen) values ('t1', now(), now())"
        )
    return path


def a_dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def test_another_process_asks_the_running_owner(served: Database, path: Path) -> None:
    asked = "import sys; from storage.client import query; print(query(*sys.argv[1:]).item())"

    answer = subprocess.run(
        [sys.executable, "-c", asked, str(path), "select tenant from tenants"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert served.path == path
    assert answer.stdout.strip() == "t1"


@pytest.mark.usefixtures("served")
def test_the_address_and_the_token_are_for_the_owner_only(path: Path) -> None:
    notice = serving_file(path)

    assert notice.stat().st_mode & 0o777 == 0o600
    assert json.loads(notice.read_text())["pid"] == os.getpid()


def test_the_notice_goes_when_the_serving_ends(owned: Database, path: Path) -> None:
    with serving(owned):
        assert running_server(path) is not None

    assert not serving_file(path).exists()


@pytest.mark.usefixtures("served")
def test_an_address_is_asked_with_the_token_of_the_environment(path: Path) -> None:
    said = json.loads(serving_file(path).read_text())
    environ = {TOKEN_VARIABLE: said["token"]}

    answer = query(said["address"], "select tenant from tenants", environ=environ)

    assert answer.rows() == [("t1",)]


@pytest.mark.usefixtures("served")
def test_a_wrong_token_is_refused_and_not_repeated(path: Path) -> None:
    said = json.loads(serving_file(path).read_text())

    with pytest.raises(StorageError, match="Authentication failed") as refused:
        query(said["address"], "select 1", environ={TOKEN_VARIABLE: "not-the-token"})

    assert "not-the-token" not in str(refused.value)


def test_an_address_without_a_token_or_an_answer_says_what_to_do() -> None:
    with pytest.raises(StorageError, match="set MLO_STORAGE_TOKEN"):
        query("quack:127.0.0.1:1", "select 1", environ={})
    with pytest.raises(StorageError, match="does not answer; is mlo up"):
        query("quack:127.0.0.1:1", "select 1", environ={TOKEN_VARIABLE: "a-token"})


def test_without_an_owner_the_file_is_opened(closed: Path) -> None:
    assert query(str(closed), "select tenant from tenants", environ={}).rows() == [("t1",)]


@pytest.mark.parametrize("alive", [True, False], ids=["another process has its pid", "dead"])
def test_a_stale_notice_is_ignored(closed: Path, alive: bool) -> None:  # noqa: FBT001
    pid = os.getpid() if alive else a_dead_process()
    stale = {"address": "quack:127.0.0.1:1", "token": "gone", "pid": pid}
    serving_file(closed).write_text(json.dumps(stale))

    assert query(str(closed), "select tenant from tenants").rows() == [("t1",)]


def test_a_file_that_is_not_there_is_told(path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist; has mlo run yet"):
        query(str(path), "select 1")


def test_an_owner_that_does_not_serve_is_named(owned: Database, path: Path) -> None:
    """
    Another process cannot open the file; the error is that of a second owner.
    """
    asked = "import sys; from storage.client import query; query(*sys.argv[1:])"

    answer = subprocess.run(
        [sys.executable, "-c", asked, str(path), "select 1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert owned.path == path
    assert f"is in use by process {os.getpid()}" in answer.stderr


@pytest.mark.parametrize(
    "sql",
    [
        "delete from tenants",
        "select 1; drop table tenants",
        "copy tenants to 'x.csv'",
        "commit; delete from tenants",
        "attach 'x.duckdb'",
        "set threads = 1",
    ],
)
def test_sql_that_would_change_something_is_refused(closed: Path, sql: str) -> None:
    with pytest.raises(StorageError, match=r"SQL: [A-Z]+ would change something"):
        query(str(closed), sql)


@pytest.mark.usefixtures("served")
def test_a_statement_that_writes_while_it_is_explained_writes_nothing(path: Path) -> None:
    """
    EXPLAIN ANALYZE runs its statement, so the server runs it where nothing can be written.
    """
    with pytest.raises(StorageError, match="read-only"):
        query(str(path), "explain analyze delete from tenants")

    assert query(str(path), "select tenant from tenants").rows() == [("t1",)]


def test_the_same_holds_for_the_file(closed: Path) -> None:
    with pytest.raises(StorageError, match="read-only"):
        query(str(closed), "explain analyze delete from tenants")

    assert query(str(closed), "select tenant from tenants").rows() == [("t1",)]


@pytest.mark.usefixtures("served")
def test_writing_is_possible_when_asked_for_through_the_owner(path: Path) -> None:
    query(str(path), "delete from tenants", write=True)

    assert query(str(path), "select tenant from tenants").is_empty()


def test_writing_is_possible_when_asked_for_in_the_file(closed: Path) -> None:
    query(str(closed), "delete from tenants", write=True)

    assert query(str(closed), "select tenant from tenants").is_empty()


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("selec 1", "syntax error at or near"),
        ("select nope from tenants", 'Referenced column "nope" not found'),
        ("from tenantz", "Table with name tenantz does not exist"),
        ("  ", "there is no statement"),
    ],
)
@pytest.mark.usefixtures("served")
def test_wrong_sql_is_told_in_one_line(path: Path, sql: str, told: str) -> None:
    with pytest.raises(StorageError, match=f"^SQL: {told}") as refused:
        query(str(path), sql)

    assert "\n" not in str(refused.value)
    assert "quack_query" not in str(refused.value)


@pytest.mark.parametrize(
    "sql",
    [
        "describe v_tenant_limits",
        "show tables",
        "explain from v_layers",
        "summarize tenants",
        "-- a comment\nfrom tenants",
    ],
)
@pytest.mark.usefixtures("served")
def test_what_only_reads_is_answered(path: Path, sql: str) -> None:
    assert query(str(path), sql).height > 0


@pytest.mark.usefixtures("served")
def test_an_interval_is_a_duration_through_the_owner(path: Path) -> None:
    found = query(str(path), "select interval '90 minutes' as took, 'a' as name")

    assert found.rows(named=True) == [{"took": timedelta(minutes=90), "name": "a"}]


def test_an_interval_is_a_duration_in_the_file(closed: Path) -> None:
    found = query(str(closed), "select [interval '2 days'] as all_of_them")

    assert found.item().to_list() == [timedelta(days=2)]


def test_a_history_in_memory_cannot_be_served(database: Database) -> None:
    with pytest.raises(StorageError, match="in memory cannot be served"), serving(database):
        pass


def test_asking_imports_no_prefect() -> None:
    """
    `mlo sql` starts at once; Prefect alone takes more than a second to import.
    """
    check = "import sys, storage.client, storage.serve; sys.exit('prefect' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False, timeout=30)

    assert done.returncode == 0
